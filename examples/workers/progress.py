"""A parent, and a worker that tells how far it is."""

import asyncio
from pathlib import Path

from rookery import fork

HERE = Path(__file__).parent


async def main():
    async with fork(HERE / "resizer.py", data={"width": 640}) as worker:
        job = {"type": "resize", "files": ["a.jpg", "b.jpg", "c.jpg"]}
        answer = await worker.request(job, on_progress=lambda done: print(f"{done} %"))
        print(answer)
        try:
            await worker.call("resize", files=["broken.jpg"])
        except Exception as error:
            print(error.args[0])


asyncio.run(main())
