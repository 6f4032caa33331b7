"""The same work in one of the Python ways: ``process_python.py CONTENDER``, asked a line at a time on stdin.

``spawn COUNT AT_ONCE``: /bin/true with all three streams discarded; ``run COUNT AT_ONCE``: with its output kept;
``capture PROGRAM BYTES COUNT``, ``lines PROGRAM COUNT``. The answer is seconds.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from _posixsubprocess import fork_exec
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

TRUE = "/bin/true"
_WARM = 20


class Rookery:
    """As a user would write it."""

    def __init__(self):
        import rookery  # noqa: PLC0415 - one contender each

        self._run, self._spawn, self._discard = rookery.run, rookery.spawn, rookery.DISCARD

    async def spawn(self):
        async with self._spawn(TRUE, stdout=self._discard, stderr=self._discard) as child:
            await child.wait()

    async def run(self):
        await self._run(TRUE)

    async def capture(self, argv):
        return len((await self._run(*argv, encoding=None)).stdout)

    async def lines(self, argv):
        async with self._spawn(*argv) as child:
            count = 0
            async for _ in child.stdout:
                count += 1
        return count


class Bare:
    """The interpreter's fork_exec, a pidfd and an event loop, and nothing else: the most that asyncio can give."""

    environ: ClassVar = [os.fsencode(f"{key}={value}") for key, value in os.environ.items()]
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    @classmethod
    async def spawn(cls):
        loop = asyncio.get_running_loop()
        read, write = os.pipe()
        argv, three = [TRUE.encode()], (cls.null, -1, -1, cls.null, -1, cls.null)
        rest = (True, True, -1, None, None, None, -1, None, *((True,) if sys.version_info < (3, 14) else ()))
        pid = fork_exec(argv, tuple(argv), True, (write,), None, cls.environ, *three, read, write, *rest)
        os.close(write)
        os.close(read)
        pidfd, ended = os.pidfd_open(pid), loop.create_future()
        loop.add_reader(pidfd, ended.set_result, None)
        await ended
        os.waitpid(pid, 0)  # noqa: ASYNC222 - it has ended
        loop.remove_reader(pidfd)
        os.close(pidfd)


class Asyncio:
    async def spawn(self):
        child = await asyncio.create_subprocess_exec(TRUE, stdin=-3, stdout=-3, stderr=-3)
        await child.wait()

    async def run(self):
        child = await asyncio.create_subprocess_exec(TRUE, stdin=-3, stdout=-1, stderr=-1)
        await child.communicate()

    async def capture(self, argv):
        child = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
        return len((await child.communicate())[0])

    async def lines(self, argv):
        child = await asyncio.create_subprocess_exec(*argv, stdout=-1)
        count = 0
        async for _ in child.stdout:
            count += 1
        await child.wait()
        return count


class Anyio:
    def __init__(self):
        import anyio  # noqa: PLC0415

        self._open, self._run = anyio.open_process, anyio.run_process

    async def spawn(self):
        async with await self._open([TRUE], stdin=-3, stdout=-3, stderr=-3) as child:
            await child.wait()

    async def run(self):
        await self._run([TRUE])

    async def capture(self, argv):
        return len((await self._run(argv)).stdout)


class Subprocess:
    """It blocks; with several at once each has a thread."""

    def __init__(self):
        self._threads = ThreadPoolExecutor(64)

    async def spawn(self, *, at_once=1):
        await self._do({"stdin": -3, "stdout": -3, "stderr": -3}, at_once)

    async def run(self, *, at_once=1):
        await self._do({"capture_output": True, "stdin": -3}, at_once)

    async def _do(self, streams, at_once):
        if at_once == 1:
            subprocess.run([TRUE], check=True, **streams)  # noqa: ASYNC221 - it is about blocking
        else:
            call = lambda: subprocess.run([TRUE], check=True, **streams)  # noqa: E731
            await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def capture(self, argv):
        return len(subprocess.run(argv, check=True, capture_output=True).stdout)  # noqa: ASYNC221

    async def lines(self, argv):
        with subprocess.Popen(argv, stdout=-1, text=True) as child:  # noqa: ASYNC220
            return sum(1 for _ in child.stdout)


CONTENDERS = {"bare": Bare, "rookery": Rookery, "asyncio": Asyncio, "anyio": Anyio, "subprocess": Subprocess}


async def many(contender, what, left, at_once):
    work = getattr(contender, what)
    if at_once > 1 and isinstance(contender, Subprocess):
        work = lambda: getattr(contender, what)(at_once=at_once)  # noqa: E731

    async def some():
        nonlocal left
        while left > 0:
            left -= 1
            await work()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return time.perf_counter() - began


async def capture(contender, program, size, count):
    took = []
    for _ in range(count):
        began = time.perf_counter()
        assert await contender.capture([program, "write", str(size)]) == size
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def lines(contender, program, count):
    began = time.perf_counter()
    assert await contender.lines([program, "lines", str(count)]) == count
    return time.perf_counter() - began


async def serve(contender):
    for what in ("spawn", "run"):
        if hasattr(contender, what):
            await many(contender, what, _WARM, 1)
    while line := sys.stdin.readline():  # blocking: while others have their turn there is nothing to do
        what, *args = line.split()
        if what == "capture":
            seconds = await capture(contender, args[0], int(args[1]), int(args[2]))
        elif what == "lines":
            seconds = await lines(contender, args[0], int(args[1]))
        else:
            seconds = await many(contender, what, int(args[0]), int(args[1]))
        print(f"{seconds:.9f}", flush=True)


if __name__ == "__main__":
    asyncio.run(serve(CONTENDERS[sys.argv[1]]()))
