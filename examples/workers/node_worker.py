"""Talking to Node workers: an ordinary one, and one that answers requests."""

import asyncio
from pathlib import Path

from rookery import fork

HERE = Path(__file__).parent


async def main():
    async with fork(HERE / "calculator.js", interpreter_args=["--max-old-space-size=256"]) as worker:
        await worker.send({"type": "calculate", "a": 10, "b": 20})
        async for message in worker:
            print(message)
            if message["type"] == "result":
                break
        await worker.disconnect()  # nothing keeps it alive any more
        print(await worker.wait())

    async with fork(HERE / "answering.js") as worker:
        print(await worker.call("calculate", a=1, b=2))


asyncio.run(main())
