"""A library process with children of several kinds; says their pids, then lives until it is killed.

argv[1]: "spawn" (live children), "run" (the same through run), "quiet" (a short run: no guardian), "fork" (a forked
copy of it goes on living), "detached".
"""

import asyncio
import os
import sys

from rookery import DISCARD, run, spawn
from rookery.process.guard import GUARD

# A child; its child; one that ran away into a session of its own, twice forked.
TREE = "sleep 1000 & echo $!; setsid sh -c 'sleep 1000 & echo $!'; echo $$; exec sleep 1000"


def say(*words):
    print(*words, flush=True)


async def said(child):
    lines = aiter(child.stdout)
    return [await anext(lines) for _ in range(3)]


async def main(kind):
    if kind == "quiet":
        await run("true")
        say("guardian", GUARD.pid)
    elif kind == "run":

        def heard(data):
            for line in data.decode().split():
                say(line)

        task = asyncio.create_task(run("/bin/sh", "-c", TREE, stdout=heard))
        while GUARD.pid is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        say("guardian", GUARD.pid)
        await task
    else:
        child = await spawn("/bin/sh", "-c", TREE, detached=kind == "detached", **(
            {"stdout": sys.stdout} if kind == "detached" else {}))  # fmt: skip
        if kind == "detached":
            other = await spawn("sleep", "1000", stdout=DISCARD)
            await asyncio.sleep(0.1)
            say(other.pid)
        else:
            for line in await said(child):
                say(line)
        if kind == "fork":
            copy = os.fork()
            if copy == 0:
                sys.stdin.read()
                os._exit(0)
            say("copy", copy)
        say("guardian", GUARD.pid)
        await child.wait()
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
