"""A message to all workers, and a look after those that hang."""

import asyncio
from contextlib import AsyncExitStack

from rookery import Health, Hub, fork


async def main():
    well_again = asyncio.Event()

    def changed(what, member):
        if what in ("unhealthy", "healthy"):
            print(f"{member.name} is {what}")
        if what == "healthy":
            well_again.set()

    health = Health(period=0.1, timeout=1, failure_threshold=3)
    async with Hub(health=health, on_change=changed) as hub, AsyncExitStack() as stack:
        for name in ("anna", "ben", "cleo"):
            worker = await stack.enter_async_context(fork("team:main", data=name))
            hub.join(name, worker.channel)

        failed = await hub.broadcast({"type": "news", "text": "lunch"})
        print(sorted(failed))
        print(await hub.request({"type": "heard"}, to="cleo"))

        await hub.members["ben"].channel.send({"type": "hang", "seconds": 5})
        await well_again.wait()


asyncio.run(main())
