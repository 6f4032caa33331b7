"""Two workers that shout, and a conversation that outlives a reload."""

import asyncio

from rookery import Cluster


async def main():
    cluster = Cluster("shouting:handle", kind="connection", workers=2, bind="127.0.0.1:0", settle=0.1)
    async with cluster:
        host, port = cluster.addresses[0].rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"before\n")
        print(await reader.readline())

        reload = asyncio.create_task(cluster.reload())
        while not any(worker.role == "draining" for worker in cluster.status().workers):
            await asyncio.sleep(0.05)
        writer.write(b"in the middle\n")
        print(await reader.readline())

        writer.close()  # the old worker waits for this, up to drain_timeout
        print((await reload).replaced)


asyncio.run(main())
