"""What a loop keeps for its children: one epoll set, and what starts use again."""

import asyncio
import contextvars
import os
import signal
import sys

import pytest

from rookery import DISCARD, PIPE, errors, run, spawn
from rookery.process.exec_call import suspends
from rookery.process.readiness import EpollReadiness, readiness
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs epoll")]
MOST_KEPT = 5  # the set, /dev/null, both ends of a pipe, and the list of our children


def test_a_loop_keeps_a_few_descriptors_and_they_end_with_it():
    before = len(os.listdir("/proc/self/fd"))
    seen = []

    async def main():
        begun = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            await run("/bin/echo", "x")
            async with spawn("/bin/true", stdout=DISCARD, stderr=DISCARD) as child:
                await child.wait()
            seen.append(len(os.listdir("/proc/self/fd")) - begun)

    for _ in range(3):
        asyncio.run(main())
    # The guardian's pipe is not the loop's.
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert max(seen) <= MOST_KEPT + 1


async def test_failed_starts_do_not_tell_on_those_after_them():
    for number in range(20):
        with pytest.raises(errors.CommandNotFound):
            await run(f"/nonexistent/{number}")
        assert (await run("/bin/echo", str(number))).stdout == f"{number}\n"


async def test_tools_that_were_closed_are_made_anew():
    watch = readiness(asyncio.get_running_loop())
    assert (await run("/bin/echo", "1")).stdout == "1\n"
    watch.tools().close()
    assert (await run("/bin/echo", "2")).stdout == "2\n"
    assert watch.tools().read >= 0
    assert suspends()


async def test_callbacks_run_in_the_context_of_their_start():
    variable = contextvars.ContextVar("variable")
    seen = []

    async def one(name):
        variable.set(name)
        await run("/bin/echo", name, stdout=lambda data: seen.append((data.decode().strip(), variable.get())))

    await asyncio.gather(*(asyncio.create_task(one(f"name{number}")) for number in range(8)))
    assert sorted(seen) == [(f"name{number}", f"name{number}") for number in range(8)]


async def test_what_raises_in_a_callback_is_told_to_the_loop_and_disturbs_nobody_else():
    told = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, facts: told.append(str(facts["exception"])))
    watch = readiness(loop)
    assert isinstance(watch, EpollReadiness)
    read, write = os.pipe()

    def fails():
        watch.remove(read)
        raise ValueError("mine")

    watch.add(read, fails)
    os.write(write, b"x")
    assert (await run("/bin/echo", "x")).stdout == "x\n"
    await asyncio.sleep(0)
    assert told == ["mine"]
    os.close(read)
    os.close(write)


async def test_a_forked_copy_that_lives_on_disturbs_nothing():
    async with spawn("/bin/cat", stdin=PIPE) as child:
        ready, done = os.pipe(), os.pipe()
        copy = os.fork()
        if copy == 0:
            try:
                os.write(ready[1], b"x")
                os.read(done[0], 1)
            finally:
                os._exit(0)
        try:
            assert os.read(ready[0], 1) == b"x"
            await child.stdin.write("line\n")
            assert await anext(aiter(child.stdout)) == "line"
            await child.kill()
            assert (await run("/bin/echo", "y")).stdout == "y\n"
        finally:
            os.write(done[1], b"x")
            os.waitpid(copy, 0)  # noqa: ASYNC222 - it is told to end
            for fd in (*ready, *done):
                os.close(fd)


async def test_children_of_many_loops_in_many_threads():
    def work():
        async def main():
            results = await asyncio.gather(*(run("/bin/echo", str(number)) for number in range(10)))
            return [result.stdout for result in results]

        return asyncio.run(main())

    expected = [f"{number}\n" for number in range(10)]
    assert await asyncio.gather(*(asyncio.to_thread(work) for _ in range(6))) == [expected] * 6
    await asyncio.get_running_loop().shutdown_default_executor()


def test_a_loop_that_is_closed_over_a_child_lets_go_of_what_it_kept():
    before = len(os.listdir("/proc/self/fd"))

    async def main():
        return await spawn("/bin/sleep", "1000", stdout=DISCARD, stderr=DISCARD)

    loop = asyncio.new_event_loop()
    child = loop.run_until_complete(main())
    loop.close()

    async def after():
        await run("/bin/true")

    os.kill(child.pid, 9)
    asyncio.run(after())  # whose table takes the child over
    del child
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1, what="the descriptors from before")


async def test_of_children_that_end_at_once_each_has_its_own_orphan_ended():
    asked = []
    watch = readiness(asyncio.get_running_loop())
    read = watch.adopted
    watch.adopted = lambda: asked.append(len(found := read())) or found
    script = "sleep 60 & echo $!; read line"
    children = [await spawn("/bin/sh", "-c", script, stdin=PIPE) for _ in range(3)]
    orphans = [int(await anext(aiter(child.stdout))) for child in children]
    for child in children:  # all of them are seen in one look of the loop
        child.signal(signal.SIGTERM)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    for child in children:
        await child.result(check=False)
    assert not [pid for pid in orphans if os.path.exists(f"/proc/{pid}")]
    # The kernel was asked once, after the first was reaped; from then on who is reaped is taken out.
    assert asked == [asked[0], asked[0], asked[0] - 1]
