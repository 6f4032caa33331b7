"""An ordinary Node server as two workers, replaced while it is asked."""

import asyncio
import urllib.request
from pathlib import Path

from rookery import Cluster

SERVER = Path(__file__).parent / "server.js"


def ask(address, path="/"):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode().strip()


async def main():
    async with Cluster(SERVER, bind="127.0.0.1:0", workers=2, settle=0) as cluster:
        (address,) = cluster.addresses
        print("version", await asyncio.to_thread(ask, address))

        slow = [asyncio.create_task(asyncio.to_thread(ask, address, "/slow")) for _ in range(4)]
        result = await cluster.reload(env={"VERSION": "2"})
        print("replaced", result.replaced)
        print(len(await asyncio.gather(*slow)), "answers meanwhile")

        print("version", await asyncio.to_thread(ask, address))


asyncio.run(main())
