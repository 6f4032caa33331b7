"""Live children: lines as they come, a conversation, output to several places, stopping."""

import asyncio
import tempfile
from pathlib import Path

from rookery import PIPE, spawn, tee

SLOW = "for step in 1 2 3; do echo step $step; sleep 0.05; done"


async def main():
    async with spawn("sh", "-c", SLOW) as child:
        async for line in child.stdout:
            print("heard:", line)
        print("ended:", await child.wait())

    async with spawn("cat", stdin=PIPE) as child:
        lines = aiter(child.stdout)
        for word in ("ping", "pong"):
            await child.stdin.write(word + "\n")
            print("answer:", await anext(lines))
        child.stdin.close()

    with tempfile.TemporaryDirectory() as folder:
        log, sizes = Path(folder) / "log", []
        async with spawn("seq", "1", "3", stdout=tee(PIPE, log, lambda data: sizes.append(len(data)))) as child:
            print("lines:", [line async for line in child.stdout])
        print("file:", log.read_text().split(), sum(sizes))

    async with spawn("sh", "-c", "sleep 1000 & sleep 1000") as server:
        print("running:", server.is_running)
    print("stopped by:", (await server.result()).signal)


asyncio.run(main())
