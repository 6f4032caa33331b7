"""An app that says itself when it is ready, and has a way of its own to end."""

import asyncio
import urllib.request
from pathlib import Path

from rookery import Cluster

POOL = Path(__file__).parent / "pool.js"


def ask(address):
    with urllib.request.urlopen(f"http://{address}", timeout=10) as answer:
        return answer.read().decode()


async def main():
    cluster = Cluster(POOL, bind="127.0.0.1:0", workers=1, ready="channel")
    asked = asyncio.Event()
    cluster.on_message(lambda _worker, _message: asked.set())
    async with cluster:
        answer = asyncio.create_task(asyncio.to_thread(ask, cluster.addresses[0]))
        await asked.wait()
    print(await answer)


asyncio.run(main())
