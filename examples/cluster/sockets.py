"""Two workers that shout, and a conversation that outlives a reload."""

import asyncio

from rookery import Cluster


async def main():
    is_leaving = asyncio.Event()

    def tell(event):
        if event.kind == "worker_ready" and event.worker > 2:  # the first new one: the old one leaves now
            is_leaving.set()

    async with Cluster("shouting:handle", kind="connection", workers=2, bind="127.0.0.1:0", on_event=tell) as cluster:
        host, port = cluster.addresses[0].rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"before\n")
        print(await reader.readline())

        reload = asyncio.create_task(cluster.reload())
        await is_leaving.wait()
        writer.write(b"in the middle\n")
        print(await reader.readline())

        writer.close()  # the old worker waits for this, up to drain_timeout
        print((await reload).replaced)


asyncio.run(main())
