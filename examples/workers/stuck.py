"""A worker that is stuck is reported, then killed; one that is only busy is left alone."""

import asyncio
import time

from rookery import fork
from rookery.errors import WorkerLost


def compute(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


def busy(channel):
    compute(2)
    channel.send("done")


async def stuck(channel):
    await channel.send("now")
    await channel.ping()  # so that it has left
    compute(2)  # the event loop gets no turn meanwhile
    await channel.wait_closed()


async def main():
    well_again = asyncio.Event()

    def told(what, worker):
        if what in ("unresponsive", "responsive"):
            print(worker.target, "is", what)
        if what == "responsive":
            well_again.set()

    async with fork("stuck:busy", heartbeat=0.3, on_change=told) as worker:
        print(await worker.receive())
    async with fork("stuck:stuck", heartbeat=0.3, on_unresponsive="report", on_change=told):
        await well_again.wait()
    async with fork("stuck:stuck", heartbeat=0.3, on_change=told) as worker:
        try:
            async for message in worker:
                print(message)
        except WorkerLost as error:
            print(error.signal)


if __name__ == "__main__":
    asyncio.run(main())
