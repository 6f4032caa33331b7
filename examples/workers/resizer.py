"""The worker of progress.py."""

import asyncio

from rookery.worker import channel


async def main():
    async with channel() as parent:
        width = parent.data["width"]

        async def resize(message, call):
            files = message["files"]
            for number, name in enumerate(files, start=1):
                if name.startswith("broken"):
                    raise ValueError(f"{name} is no picture")
                await asyncio.sleep(0.01)  # the work
                await call.progress(100 * number // len(files))
            return f"{len(files)} pictures are {width} wide"

        parent.on("resize", resize, with_call=True)
        await parent.wait_closed()


asyncio.run(main())
