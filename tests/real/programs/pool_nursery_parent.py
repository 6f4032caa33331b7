"""A program with a nursery: says the pids of guardian, fork-server, worker and the worker's family, and waits."""

import asyncio
import json
import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from nursery_harness import Grown

from rookery.process.guard import GUARD


async def main():
    grown = Grown()
    worker = await grown.start("has_family")
    family = (await worker.hear())["pids"]
    copy = -1
    if sys.argv[1] == "forked":
        copy = os.fork()
        if copy == 0:
            os.read(0, 1)
            os._exit(0)
    print(
        json.dumps(
            {
                "guardian": GUARD.pid,
                "server": grown.nursery.server_pid,
                "worker": worker.handle.pid,
                "family": family,
                "copy": copy,
            }
        ),
        flush=True,
    )
    await asyncio.sleep(1000)


asyncio.run(main())
