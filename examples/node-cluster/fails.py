"""New code that does not start: the old workers go on serving."""

import asyncio
from pathlib import Path

from rookery import Cluster
from rookery.errors import ReloadFailed

HERE = Path(__file__).parent


async def main():
    async with Cluster(HERE / "server.js", bind="127.0.0.1:0", workers=2) as cluster:
        try:
            await cluster.reload(env={"NODE_OPTIONS": "--require ./is-not-there.js"})
        except ReloadFailed:
            print("given up; serving:", [row.ready for row in cluster.status().workers])


asyncio.run(main())
