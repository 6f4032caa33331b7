"""Any program that takes a socket; here it happens to be in Python."""

import asyncio
import sys
from pathlib import Path

from rookery import Cluster

PROGRAM = Path(__file__).parent / "inherited.py"


async def main():
    async with Cluster([sys.executable, PROGRAM, "{fd}"], workers=1, bind="127.0.0.1:0") as cluster:
        host, port = cluster.addresses[0].rsplit(":", 1)
        reader, _ = await asyncio.open_connection(host, int(port))
        print(await reader.readline())


asyncio.run(main())
