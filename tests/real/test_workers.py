"""fork(): each kind of target, messages both ways, and the end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery import CAPTURE, PIPE, fork, tee
from rookery._os import kernel
from rookery.errors import Disconnected, RemoteError, SpawnError, UsageError, WorkerLost

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(WORKERS))


async def test_messages_requests_progress_and_data():
    progress = []
    async with fork(WORKERS / "answers.py", data={"n": [1, None]}, args=["-x", 5]) as worker:
        assert worker.connected
        assert worker.channel.connected
        await worker.send("data")
        assert await worker.receive() == [{"n": [1, None]}, ["-x", "5"]]
        assert await worker.call("add", a=1, b=2) == 3
        assert await worker.request({"type": "count", "to": 3}, on_progress=progress.append) == 3
        assert progress == [0, 1, 2]
        with pytest.raises(RemoteError, match="KeyError"):
            await worker.call("add")
        # None of ours is left for what the worker starts.
        assert await worker.call("environ") == [name for name in sorted(os.environ) if "WORKER" in name]
        await worker.send({"type": "big", "text": "x" * 10_000_000})
        assert len((await worker.receive())["text"]) == 10_000_000
    assert not worker.connected
    assert worker.returncode == 0


async def test_a_worker_without_a_loop_leaves_when_the_parent_does():
    async with fork(WORKERS / "blocking.py", stderr=tee(PIPE)) as worker:
        await worker.send(5)
        assert await worker.receive() == ["again", 5]
        assert await worker.call("add", a="a", b="b") == "ab"
        await worker.disconnect()
        assert (await worker.wait()).code == 0
        assert worker.last_words == []


async def test_functions():
    async with fork("importable:with_data", data=(1, 2), args=["x"], codec="pickle") as worker:
        assert await worker.receive() == [(1, 2), ["importable:with_data", "x"]]
    assert worker.returncode == 0
    async with fork("importable:only_channel", cwd="/") as worker:
        await worker.send(None)
        assert await worker.receive() is None
    async with fork("importable:blocking") as worker:
        assert await worker.call("pid") == worker.pid
    async with fork("importable:Holder.inner", codec="json-lines") as worker:
        assert [message async for message in worker] == ["inner"]
        assert (await worker.wait()).code == 0


async def test_a_function_that_raises():
    async with fork("importable:fails", stderr=CAPTURE) as worker:
        with pytest.raises(WorkerLost, match="not today") as caught:
            await worker.receive()
    assert caught.value.returncode == 1
    assert "ValueError: not today" in caught.value.stderr


async def test_what_cannot_be_started_is_said_before():
    with pytest.raises(SpawnError, match=r"no file '.*nothere\.py'"):
        await fork(WORKERS / "nothere.py")
    with pytest.raises(SpawnError, match="no such command"):
        await fork(WORKERS / "answers.py", interpreter="nosuchpython")
    with pytest.raises(UsageError, match="cannot be encoded"):
        await fork(WORKERS / "answers.py", data=object())
    described = fork(WORKERS / "answers.py")
    async with described:
        with pytest.raises(UsageError, match="started already"):
            await described


async def test_descriptors_of_the_callers_own():
    """Also one of the number that the channel would have."""
    read, write = os.pipe()
    ours, theirs = socket.socketpair()
    number = theirs.fileno()
    ours.close()
    theirs.close()
    code = f"import os; os.write({number}, b'mine'); from rookery.worker import connect; connect().send('theirs')"
    try:
        described = fork(WORKERS / "importable.py", interpreter_args=["-c", code], fds={number: write})
        async with described as worker:
            assert await worker.receive() == "theirs"
            assert os.read(read, 10) == b"mine"
    finally:
        os.close(read)
        os.close(write)


async def test_with_limits_a_terminal_and_another_priority(tmp_path):
    async with fork(
        WORKERS / "answers.py", rlimits={"nofile": 200}, pty=True, nice=1, umask=0o77, cwd=tmp_path
    ) as worker:
        assert await worker.call("add", a=1, b=2) == 3


async def test_a_hundred_leave_nothing_behind():
    async def one(number):
        async with fork("importable:only_channel", data=number) as worker:
            await worker.send(number)
            assert await worker.receive() == number

    def facts():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), sorted(kernel.children(os.getpid()))

    await one(0)  # the guardian
    before = facts()
    for start in range(0, 100, 10):
        await asyncio.gather(*(one(start + number) for number in range(10)))
    assert facts() == before


async def test_a_block_that_fails_stops_the_worker():
    with pytest.raises(RuntimeError, match="mine"):
        async with fork(WORKERS / "answers.py") as worker:
            raise RuntimeError("mine")
    assert not worker.is_running
    with pytest.raises(Disconnected, match="was closed"):
        await worker.send(1)


async def test_the_interpreter_is_the_callers_choice():
    async with fork(
        WORKERS / "answers.py", interpreter=sys.executable, interpreter_args=["-X", "utf8"], codec="json"
    ) as worker:
        assert await worker.call("add", a="ü", b="") == "ü"
    assert worker.child.command[1:3] == ("-X", "utf8")


async def test_everything_that_passes_can_be_seen():
    seen, changes = [], []
    async with fork(
        WORKERS / "answers.py",
        on_message=lambda way, message: seen.append((way, message)),
        on_change=lambda what, worker: changes.append(what),
    ) as worker:
        await worker.send(1)
        assert await worker.receive() == 1
        await worker.call("add", a=1, b=2)
    assert seen == [("sent", 1), ("received", 1), ("sent", {"a": 1, "b": 2, "type": "add"}), ("received", 3)]
    assert changes == ["ready", "disconnected", "exited"]
