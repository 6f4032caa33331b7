"""Processes by id, with a record of each."""

import asyncio
from pathlib import Path

from rookery import ProcessManager
from rookery.errors import NoChannel, ProcessEnded, UnknownProcess

HERE = Path(__file__).parent


async def main():
    async with ProcessManager() as manager:
        await manager.shell("echo {who}", {"who": "it's me; rm -rf /"}, id="echo")
        await manager.spawn("sleep", "60", id="sleep")
        await manager.fork(HERE / "resizer.py", data={"width": 640}, id="resizer")
        print(await manager.request("resizer", {"type": "resize", "files": ["a.jpg"]}))

        for name in ("echo", "sleep", "nobody"):
            try:
                await manager.send(name, "hello")
            except (NoChannel, UnknownProcess) as error:
                print(type(error).__name__, "-", error)

        await manager.terminate("resizer")
        try:
            await manager.send("resizer", "hello")
        except ProcessEnded as error:
            print(type(error).__name__, "-", error)
    for record in manager.list():
        print(record.id, record.status, record.exit_code, record.signal)


asyncio.run(main())
