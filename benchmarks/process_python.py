"""The same work in one of the Python ways: ``process_python.py CONTENDER spawn COUNT AT_ONCE`` and so on; seconds."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from _posixsubprocess import fork_exec
from typing import ClassVar

TRUE = "/bin/true"
_WARM = 20


class Rookery:
    @staticmethod
    async def spawn():
        from rookery import DISCARD, spawn  # noqa: PLC0415 - one contender each

        async with spawn(TRUE, stdout=DISCARD, stderr=DISCARD) as child:
            await child.wait()

    @staticmethod
    async def capture(argv):
        from rookery import run  # noqa: PLC0415

        return len((await run(*argv, encoding=None)).stdout)

    @staticmethod
    async def lines(argv):
        from rookery import spawn  # noqa: PLC0415

        async with spawn(*argv) as child:
            count = 0
            async for _ in child.stdout:
                count += 1
        return count


class RookeryRun(Rookery):
    @staticmethod
    async def spawn():
        from rookery import run  # noqa: PLC0415

        await run(TRUE)


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
    @staticmethod
    async def spawn():
        child = await asyncio.create_subprocess_exec(TRUE, stdin=-3, stdout=-3, stderr=-3)
        await child.wait()

    @staticmethod
    async def capture(argv):
        child = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
        return len((await child.communicate())[0])

    @staticmethod
    async def lines(argv):
        child = await asyncio.create_subprocess_exec(*argv, stdout=-1)
        count = 0
        async for _ in child.stdout:
            count += 1
        await child.wait()
        return count


class Anyio:
    @staticmethod
    async def spawn():
        import anyio  # noqa: PLC0415

        async with await anyio.open_process([TRUE], stdin=-3, stdout=-3, stderr=-3) as child:
            await child.wait()

    @staticmethod
    async def capture(argv):
        import anyio  # noqa: PLC0415

        return len((await anyio.run_process(argv)).stdout)


class Subprocess:
    @staticmethod
    async def spawn():
        subprocess.run([TRUE], check=True, stdin=-3, stdout=-3, stderr=-3)  # noqa: ASYNC221 - it is about blocking

    @staticmethod
    async def capture(argv):
        return len(subprocess.run(argv, check=True, capture_output=True).stdout)  # noqa: ASYNC221

    @staticmethod
    async def lines(argv):
        with subprocess.Popen(argv, stdout=-1, text=True) as child:  # noqa: ASYNC220
            return sum(1 for _ in child.stdout)


CONTENDERS = {
    "bare": Bare,
    "rookery": Rookery,
    "run": RookeryRun,
    "asyncio": Asyncio,
    "anyio": Anyio,
    "subprocess": Subprocess,
}


async def measure(contender, what, args):
    work = getattr(contender, what)
    if what == "spawn":
        left, at_once = int(args[0]), int(args[1])
        for _ in range(_WARM):
            await work()
        await asyncio.sleep(0.2)

        async def some():
            nonlocal left
            while left > 0:
                left -= 1
                await work()

        began = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(at_once)))
        return time.perf_counter() - began
    if what == "capture":
        program, size, count = args[0], int(args[1]), int(args[2])
        took = []
        for _ in range(count):
            began = time.perf_counter()
            assert await work([program, "write", str(size)]) == size
            took.append(time.perf_counter() - began)
        return statistics.median(took)
    began = time.perf_counter()
    assert await work([args[0], "lines", args[1]]) == int(args[1])
    return time.perf_counter() - began


if __name__ == "__main__":
    print(asyncio.run(measure(CONTENDERS[sys.argv[1]], sys.argv[2], sys.argv[3:])))
