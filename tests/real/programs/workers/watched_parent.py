"""A parent that may be stopped: watched_parent.py FUNCTION; its worker prints what it sees."""

import asyncio
import sys
from pathlib import Path

from rookery import fork


async def main():
    path = {"PYTHONPATH": str(Path(__file__).parent)}
    async with fork(f"hearts:{sys.argv[1]}", heartbeat=0.1, on_unresponsive="report", env=path) as worker:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await worker.disconnect()


asyncio.run(main())
