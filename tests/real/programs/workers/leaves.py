"""Never looks at its channel again: it has to be made to leave, and cleans up then."""

import asyncio
import sys

from rookery.worker import channel


async def main():
    await channel(exit_grace=0.05)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
        print("cleaned up", file=sys.stderr, flush=True)


asyncio.run(main())
