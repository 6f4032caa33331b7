"""A file for node:cluster as two workers, and messages to and from them."""

import asyncio
from pathlib import Path

from rookery import Cluster

PRIMARY = Path(__file__).parent / "primary.js"


async def main():
    answers = asyncio.Queue()
    async with Cluster(PRIMARY, bind="127.0.0.1:0", workers=2) as cluster:
        cluster.on_message(lambda _worker, message: answers.put_nowait(message))
        await cluster.broadcast({"add": [1, 2]})
        for answer in sorted([await answers.get(), await answers.get()], key=str):
            print(answer)


asyncio.run(main())
