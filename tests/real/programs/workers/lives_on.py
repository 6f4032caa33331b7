"""Closes its channel and lives on, or (given "tells") opens it and stays when the parent leaves."""

import asyncio
import sys

from rookery.worker import channel


async def main():
    if "tells" in sys.argv:
        parent = await channel(exit_on_disconnect=False)
        await parent.wait_closed()
        print("still here", flush=True)
    else:
        parent = await channel()
        await parent.send("bye")
        await parent.close()
    await asyncio.Event().wait()


asyncio.run(main())
