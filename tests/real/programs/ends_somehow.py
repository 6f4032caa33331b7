"""A program with a child that ends in the way argv[1] names. argv[2]: what the tree has in its environment."""

import asyncio
import os
import sys
import time

from rookery import DISCARD, run, run_sync, spawn

kind = sys.argv[1]
env = {"ENDS_SOMEHOW": sys.argv[2]}
TREE = ("sh", "-c", "setsid sleep 1000 & sleep 1000 & echo up; wait")


async def started(**options):
    child = await spawn(*TREE, env=env, **options)
    assert await anext(aiter(child.stdout)) == "up"
    return child


def up(_):
    os.write(1, b"up\n")


async def main():
    if kind == "returns":
        await started()
    elif kind == "a task runs":
        ready = asyncio.Event()
        task = asyncio.create_task(run(*TREE, env=env, stdout=lambda _: ready.set()))
        await ready.wait()
        assert not task.done()
    elif kind == "sys.exit":
        await started()
        sys.exit(3)
    elif kind == "os._exit":
        await started()
        os._exit(3)
    elif kind == "interrupted in run":
        await run(*TREE, env=env, stdout=up)
    elif kind == "interrupted in a block":
        async with spawn(*TREE, env=env) as child:
            async for _ in child.stdout:
                up(_)
    elif kind == "detached":
        child = await spawn("sleep", "1000", env=env, detached=True)
        print(child.pid, flush=True)


if kind == "loop closed":
    loop = asyncio.new_event_loop()
    child = loop.run_until_complete(started())
    loop.close()
    assert "running" in repr(child)
    assert run_sync("echo", "next", stderr=DISCARD).stdout == "next\n"
    assert child.signal(15)
elif kind == "interrupted without a runner":
    asyncio.new_event_loop().run_until_complete(run(*TREE, env=env, stdout=up))
elif kind == "blocked":
    asyncio.run(started())
    up(0)
    time.sleep(1000)
else:
    asyncio.run(main())
