"""A program that leaves in order when it is told to: here it tells itself."""

import asyncio
import os
import signal
import sys

from rookery import GracefulShutdown

shutdown = GracefulShutdown(limit=30)


@shutdown.stop_accepting
def stop_accepting():
    print("no new work")


@shutdown.drain
async def drain():
    print("the work there is gets done")


@shutdown.close
def close():
    print("the database is closed")


async def main():
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()


sys.exit(asyncio.run(shutdown.run(main())))
