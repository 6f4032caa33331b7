"""Nobody waits for a worker that is gone, or is told too little."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
import types
from contextlib import suppress
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery import fork
from rookery._os import kernel
from rookery.errors import Disconnected, NotReady, WorkerLost
from rookery.process.stdio import CAPTURE, DISCARD, PIPE
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"


async def test_killed_while_messages_and_answers_are_awaited():
    async with fork(WORKERS / "answers.py") as worker:
        waiting = [asyncio.create_task(work) for work in (worker.receive(), worker.receive(), worker.call("sleep"))]
        await worker.call("add", a=1, b=1)  # it has the others
        os.kill(worker.pid, signal.SIGKILL)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for error in results:
            assert isinstance(error, WorkerLost)
            assert (error.returncode, error.signal, error.pid) == (-9, "SIGKILL", worker.pid)
            assert "SIGKILL" in str(error)
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await worker.send(1)
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await worker.call("add", a=1, b=1)
        assert not worker.connected


async def test_killed_in_the_middle_of_a_big_message():
    async with fork("importable:halves", env={"PYTHONPATH": str(WORKERS)}) as worker:
        with pytest.raises(WorkerLost, match="SIGKILL") as caught:
            await worker.receive()
    assert "inside a message" in str(caught.value)


async def test_the_error_has_exit_code_and_last_words():
    async with fork(WORKERS / "answers.py", stderr=DISCARD) as worker:
        await worker.send("die")
        with pytest.raises(WorkerLost, match="exited with code 3\n  last words") as caught:
            await worker.receive()
        assert (caught.value.returncode, caught.value.signal, caught.value.stderr) == (3, None, "last words")
        with pytest.raises(WorkerLost, match="exited with code 3"):
            await worker.receive()


async def test_iteration_raises_for_a_crash_only():
    async with fork(WORKERS / "answers.py", stderr=DISCARD) as worker:
        await worker.send("kill")
        with pytest.raises(WorkerLost):
            [message async for message in worker]
    async with fork(WORKERS / "answers.py") as worker:
        await worker.send(1)
        assert await worker.receive() == 1
        reading = asyncio.create_task(_all(worker))
        await worker.stop()
        assert await reading == []


async def _all(worker):
    return [message async for message in worker]


async def _take(worker, found):
    async for message in worker:
        found.append(message)


async def test_messages_sent_before_the_death_are_received():
    async with fork(WORKERS / "answers.py", stderr=DISCARD) as worker:
        for number in range(100):
            await worker.send(number)
        await worker.send("die")
        assert [await worker.receive() for _ in range(100)] == list(range(100))
        with pytest.raises(WorkerLost, match="code 3"):
            await worker.receive()


async def test_one_that_dies_while_nobody_takes_its_messages():
    """Its parent reads no further then: what has come can be received, then the end."""
    async with fork("importable:floods", env={"PYTHONPATH": str(WORKERS)}) as worker:
        assert (await worker.wait()).signal_name == "SIGKILL"
        found = []
        with pytest.raises(WorkerLost, match="SIGKILL"):
            await _take(worker, found)
    assert found == list(range(len(found)))
    assert len(found) > 16_384


async def test_a_worker_that_disconnects_and_lives_on():
    async with fork(WORKERS / "lives_on.py") as worker:
        assert await worker.receive() == "bye"
        with pytest.raises(Disconnected, match="the process lives on") as caught:
            await worker.receive()
        assert not isinstance(caught.value, WorkerLost)
        assert worker.is_running
        assert not worker.connected
        with pytest.raises(Disconnected):
            await worker.send(1)
        assert [message async for message in worker] == []
    assert worker.child.outcome(check=False).signal == "SIGTERM"


async def test_one_that_stays_when_the_parent_leaves_because_it_wants_to():
    async with fork(WORKERS / "lives_on.py", args=["tells"], stdout=PIPE) as worker:
        await worker.disconnect()
        assert await anext(aiter(worker.stdout)) == "still here"
        assert worker.is_running


async def test_one_that_has_to_be_made_to_leave_cleans_up():
    async with fork(WORKERS / "leaves.py", stdout=PIPE) as worker:
        await worker.disconnect()
        assert (await worker.wait()).code == 0
        assert await worker.stdout.read() == "cleaned up\n"
        assert worker.last_words == ["cleaned up"]


async def test_a_grandchild_that_holds_the_channel_open():
    """Detached, so that it is not swept with its parent; it ends with our pipe."""
    read, write = os.pipe()
    try:
        async with fork(WORKERS / "holds.py", stdin=read, detached=True) as worker:
            grandchild = await worker.receive()
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(WorkerLost, match="SIGKILL"):
                await worker.receive()
            assert kernel.is_alive(grandchild)
    finally:
        os.close(read)
        os.close(write)

    def has_gone():
        with suppress(ChildProcessError):  # it came to us
            os.waitpid(grandchild, os.WNOHANG)
        return kernel.facts(grandchild) is None

    wait_until(has_gone, DEADLINE, "the end of the grandchild")


async def test_never_ready():
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"not ready within 1 s\n  I am thinking") as caught:
        await fork(WORKERS / "says_nothing.py", ready_timeout=1, stderr=DISCARD)
    assert "channel()" in caught.value.hint
    assert caught.value.stderr == "I am thinking"
    assert time.monotonic() - began < DEADLINE
    with pytest.raises(NotReady, match=r"exited with code 2 before it was ready"):
        await fork(WORKERS / "says_nothing.py", interpreter_args=["-c", "raise SystemExit(2)"])
    with pytest.raises(NotReady, match="No module named 'nosuchmodule'") as caught:
        await fork("nosuchmodule:main", stderr=DISCARD)
    assert caught.value.returncode == 1
    with pytest.raises(NotReady, match="has no function 'nothing'"):
        await fork("importable:nothing", env={"PYTHONPATH": str(WORKERS)}, stderr=DISCARD)


async def test_one_that_need_not_be_ready():
    async with fork(WORKERS / "says_nothing.py", ready=False, stderr=DISCARD) as worker:
        assert worker.is_running
        await worker.send("for nobody")


@types.coroutine
def cancelled_at(step, work):
    """Await it, and cancel the task as it waits for the step-th time."""
    resume, value = work.send, None
    for number in itertools.count():
        try:
            waits_for = resume(value)
        except StopIteration as end:
            return end.value
        if number == step:
            asyncio.current_task().cancel()
        try:
            resume, value = work.send, (yield waits_for)
        except BaseException as error:
            resume, value = work.throw, error


async def test_cancelled_at_every_await_of_the_start():
    for step in itertools.count():
        events = []
        described = fork(
            WORKERS / "answers.py", data="x" * 1_000_000, stderr=DISCARD, stdin=DISCARD, on_event=events.append
        )
        starting = asyncio.create_task(cancelled_at(step, described._open()))
        await asyncio.wait([starting])
        if not starting.cancelled():
            await starting.result().stop()
            break
        assert [event.kind for event in events] == ["started", "exited", "closed"]
        assert not kernel.is_alive(events[0].child.pid, events[0].child.start_time)
    assert step > 1


async def test_cancelled_twice_while_it_starts():
    """The second one ends the patience with a worker that does not heed SIGTERM."""
    events, deaf = [], "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    heard = asyncio.Event()

    def happened(event):
        events.append(event)
        if event.kind == "output":
            heard.set()

    described = fork(
        WORKERS / "answers.py",
        interpreter_args=["-u", "-c", deaf],
        stdout=CAPTURE,
        graceful_timeout=60,
        on_event=happened,
    )
    starting = asyncio.create_task(described._open())
    await heard.wait()
    starting.cancel()
    await asyncio.sleep(0.05)
    assert not starting.done()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert events[-1].result.signal == "SIGKILL"


def test_the_parent_killed_leaves_no_worker():
    """Its workers see the end of their channels, or the guardian sees to it."""
    code = f"""
import asyncio
from rookery import fork
async def main():
    one = fork({str(WORKERS / "answers.py")!r})
    workers = [await one, await fork({str(WORKERS / "lives_on.py")!r}, args=["tells"])]
    print(*(worker.pid for worker in workers), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    ours = set(kernel.children(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2

    def have_gone():
        """They, and the guardian; they came to us, and are reaped here."""
        left = set(kernel.children(os.getpid())) - ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(have_gone, DEADLINE, "the end of all that came back to us")
    assert not any(kernel.is_alive(pid) for pid in pids)
