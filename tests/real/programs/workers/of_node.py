"""A child of Node, asyncio."""

import asyncio
import os

from rookery.worker import channel


async def main():
    async with channel() as parent:
        assert "NODE_CHANNEL_FD" not in os.environ
        async for message in parent:
            if message["type"] == "calculate":
                await parent.send({"result": message["a"] + message["b"]})
            else:
                await parent.send({"length": len(message["text"])})


asyncio.run(main())
