"""A deploy under load, and one of a version that does not work."""

import asyncio
from urllib.request import urlopen

from rookery import Cluster, ReloadFailed


def get(address):
    with urlopen(f"http://{address}/") as answer:
        return answer.read().decode().split(",")[0]


async def clients(address, seen, is_over):
    while not is_over.is_set():
        seen.append(await asyncio.to_thread(get, address))  # an error would end the program


async def main():
    async with Cluster("shop:app", workers=2, bind="127.0.0.1:0", linger=0.5, settle=0.5) as cluster:
        seen, is_over = [], asyncio.Event()
        load = [asyncio.create_task(clients(cluster.addresses[0], seen, is_over)) for _ in range(4)]

        result = await cluster.reload(env={"VERSION": "2"})
        print("replaced workers", result.replaced)

        try:
            await cluster.reload(env={"VERSION": "broken"})
        except ReloadFailed as error:
            print("given up:", error.stderr.splitlines()[-1])

        seen.clear()
        await asyncio.sleep(0.2)
        is_over.set()
        await asyncio.gather(*load)
        print("clients see", set(seen))


asyncio.run(main())
