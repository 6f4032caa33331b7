"""A master with four workers: tasks in turn, and a task from one worker to another."""

import asyncio
from contextlib import AsyncExitStack

from rookery import Hub, fork


async def main():
    async with Hub(assign="round-robin") as hub, AsyncExitStack() as stack:
        for name in ("anna", "ben", "cleo", "dave"):
            worker = await stack.enter_async_context(fork("team:main", data=name))
            hub.join(name, worker.channel)  # it leaves by itself when the worker ends

        for number in range(8):
            print(await hub.request({"type": "square", "n": number}))

        print(await hub.request({"type": "delegate", "to": "dave", "n": 12}, to="anna"))


asyncio.run(main())
