"""Two workers on one port, and what they did."""

import asyncio
from urllib.request import urlopen

from rookery import Cluster


def get(address):
    with urlopen(f"http://{address}/") as answer:
        return answer.read().decode()


async def main():
    async with Cluster("shop:app", workers=2, bind="127.0.0.1:0") as cluster:
        address = cluster.addresses[0]
        answers = await asyncio.gather(*(asyncio.to_thread(get, address) for _ in range(100)))
        print(sorted(set(answers)))
        status = cluster.status()
        print(f"{status.requests} requests, {status.errors} errors")
        for worker in status.workers:
            print(f"worker {worker.slot}: {worker.state}, ready: {worker.ready}, version {worker.version}")


asyncio.run(main())
