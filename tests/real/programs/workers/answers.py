"""An asyncio worker: adds, reports progress, gives its data, hands big things back, dies on request."""

import asyncio
import os
import signal
import sys

from rookery.worker import channel


async def count(message, call):
    for number in range(message["to"]):
        await call.progress(number)
    return message["to"]


async def main():
    async with channel() as parent:
        parent.on("add", lambda message: message["a"] + message["b"])
        parent.on("count", count, with_call=True)
        parent.on("sleep", lambda _: asyncio.sleep(3600))
        parent.on("environ", lambda _: sorted(name for name in os.environ if "CHANNEL" in name or "WORKER" in name))
        async for message in parent:
            if message == "data":
                await parent.send([parent.data, sys.argv[1:]])
            elif message == "die":
                print("last words", file=sys.stderr)
                sys.exit(3)
            elif message == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                await parent.send(message)


asyncio.run(main())
