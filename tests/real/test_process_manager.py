"""ProcessManager: processes by id, and nothing left alive."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery import PIPE, ProcessManager
from rookery._os import kernel
from rookery.errors import (
    CommandNotFound,
    NoChannel,
    NotReady,
    OutputLimit,
    ProcessEnded,
    ProcessFailed,
    SpawnError,
    TimedOut,
    UnknownProcess,
    UsageError,
)
from rookery.worker.child_channel import ChildChannel

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"
ANSWERS = WORKERS / "answers.py"


async def test_run_and_shell_keep_a_record():
    async with ProcessManager() as manager:
        result = await manager.run("echo", "hi", id="hello")
        assert result.stdout == "hi\n"
        record = manager.get("hello")
        assert (record.kind, record.command, record.status, record.exit_code) == ("run", "echo hi", "exited", 0)
        assert record.pid == result.pid
        assert record.ended_at >= record.started_at
        assert record.stdout.text == "hi\n"
        await manager.shell("echo {what} >&2; exit 3", {"what": "a b"}, check=False, id="s")
        assert (manager.get("s").exit_code, manager.get("s").stderr.text) == (3, "a b\n")
        with pytest.raises(ProcessFailed):
            await manager.run("false")
        assert [record.status for record in manager.list()] == ["exited"] * 3
        assert manager.running() == ()


async def test_limits_that_hold_where_nothing_is_said():
    async with ProcessManager(timeout=0.3, max_output=1000) as manager:
        with pytest.raises(TimedOut):
            await manager.run("sleep", "60", id="slow")
        assert (manager.get("slow").status, manager.get("slow").reason) == ("killed", "its time was over")
        with pytest.raises(OutputLimit):
            await manager.shell("yes", id="loud", timeout=None)
        assert (manager.get("loud").status, manager.get("loud").reason) == ("killed", "it wrote too much")
        assert (await manager.run("sleep", "0.5", timeout=None)).ok
    assert (ProcessManager()._limits()) == {"timeout": 30.0, "max_output": 1_000_000}


async def test_starts_that_fail():
    async with ProcessManager() as manager:
        for start in (manager.run, manager.spawn):
            with pytest.raises(CommandNotFound):
                await start("nosuchprogram")
        with pytest.raises(SpawnError, match="no file"):
            await manager.fork("nosuchworker.py")
        with pytest.raises(NotReady, match="exited with code 7"):
            await manager.fork(ANSWERS, interpreter_args=["-c", "raise SystemExit(7)"], id="early")
        assert [record.status for record in manager.list()] == ["failed-to-start"] * 4
        assert "exited with code 7" in manager.get("early").reason
        assert manager.get("early").exit_code == 7
        with pytest.raises(UsageError, match="no option"):
            await manager.spawn("true", nosuch=1)
        assert len(manager.list()) == 4
        assert manager.running() == ()


async def test_messages_and_the_three_errors():
    async with ProcessManager() as manager:
        worker = await manager.fork(ANSWERS, id="w")
        assert worker.record.status == "running"
        await manager.send("w", {"hello": 1})
        assert await worker.process.receive() == {"hello": 1}
        assert await manager.request("w", {"type": "add", "a": 1, "b": 2}) == 3
        assert (worker.record.sent, worker.record.received) == (2, 2)
        assert [one.way for one in worker.record.messages] == ["sent", "received"] * 2
        await manager.spawn("sleep", "60", id="s")
        with pytest.raises(UnknownProcess):
            await manager.send("x", 1)
        with pytest.raises(NoChannel, match="started by spawn"):
            await manager.send("s", 1)
        await manager.send("w", "die")
        await worker.process.wait()
        with pytest.raises(ProcessEnded, match="exited with code 3"):
            await manager.send("w", 1)
        assert "last words" in worker.record.stderr.text
        with pytest.raises(ProcessEnded):
            await manager.request("w", 1)
        assert len({UnknownProcess, NoChannel, ProcessEnded}) == 3


async def test_a_request_underway_when_the_worker_dies():
    async with ProcessManager() as manager:
        worker = await manager.fork(ANSWERS, id="w")
        asking = asyncio.create_task(manager.request("w", {"type": "sleep"}))
        await manager.request("w", {"type": "add", "a": 0, "b": 0})
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(ProcessEnded, match="SIGKILL"):
            await asking
        await worker.process.child.result(check=False)
        assert (worker.record.status, worker.record.signal) == ("killed", "SIGKILL")


async def test_a_spawned_one_can_be_read_and_signalled():
    async with ProcessManager() as manager:
        cat = await manager.spawn("cat", stdin=PIPE, id="cat")
        await cat.process.stdin.write("one\n")
        assert await anext(aiter(cat.process.stdout)) == "one"
        manager.signal("cat", signal.SIGKILL)
        await cat.process.result(check=False)
        assert (cat.record.status, cat.record.signal, cat.record.reason) == ("killed", "SIGKILL", "")
        assert cat.record.stdout.text == "one\n"
        with pytest.raises(ProcessEnded):
            manager.signal("cat", signal.SIGTERM)
        with pytest.raises(UnknownProcess):
            manager.signal("dog", signal.SIGTERM)


async def test_terminate_and_cleanup():
    async with ProcessManager() as manager:
        for number in range(3):
            await manager.spawn("sleep", "60", id=str(number))
        worker = await manager.fork(ANSWERS, id="w")
        record = await manager.terminate("0")
        assert (record.status, record.signal, record.reason) == ("killed", "SIGTERM", "it was stopped")
        assert await manager.terminate("0") is record
        assert [one.id for one in manager.running()] == ["1", "2", "w"]
        assert len(await manager.terminate_all()) == 3
        assert not worker.process.is_running
        assert [one.id for one in manager.cleanup()] == ["0", "1", "2", "w"]
        assert manager.list() == ()
        with pytest.raises(UnknownProcess):
            manager.get("0")


async def test_the_block_ends_with_nothing_alive():
    events = []
    async with ProcessManager() as manager:
        manager.subscribe(events.append)
        all_started = asyncio.Event()
        manager.subscribe(lambda _: len(manager.running()) == 5 and all_started.set())
        code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
        deaf = await manager.spawn(sys.executable, "-c", code, graceful_timeout=0.2, id="deaf")
        assert await anext(aiter(deaf.process.stdout)) == "up"
        await manager.spawn("sh", "-c", "setsid sleep 60 & sleep 60")
        await manager.fork(ANSWERS)
        running = asyncio.create_task(manager.run("sleep", "60"))
        starting = asyncio.create_task(manager.fork(WORKERS / "says_nothing.py"))
        await all_started.wait()
        pids = [record.pid for record in manager.list()]
    assert manager.running() == ()
    assert not any(pid and kernel.is_alive(pid) for pid in pids)
    assert (await running).cancelled
    with pytest.raises(NotReady):
        await starting
    assert {record.status for record in manager.list()} == {"killed", "failed-to-start"}
    with pytest.raises(UsageError, match="closed"):
        await manager.run("true")
    assert deaf.record.signal == "SIGKILL"
    finals = [event.what for event in events if event.what not in ("output", "message")]
    assert sorted(finals) == sorted(["starting", "running"] * 4 + ["starting", "failed-to-start"] + ["killed"] * 4)


async def test_a_close_that_is_cancelled_is_finished_all_the_same():
    manager = ProcessManager()
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    deaf = await manager.spawn(sys.executable, "-c", code, graceful_timeout=60)
    assert await anext(aiter(deaf.process.stdout)) == "up"
    closing = asyncio.create_task(manager.close())
    await asyncio.sleep(0.05)
    for _ in range(2):
        closing.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not deaf.process.is_running
    assert manager.running() == ()


async def test_a_run_that_is_cancelled():
    async with ProcessManager() as manager:
        runs = asyncio.Event()
        manager.subscribe(lambda event: event.what == "running" and runs.set())
        running = asyncio.create_task(manager.run("sleep", "60", id="r"))
        await runs.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (manager.get("r").status, manager.get("r").reason) == ("killed", "it was stopped")


@pytest.mark.parametrize("moment", ["as it comes", "exited", "closed"])
async def test_one_that_says_ready_and_goes(moment, monkeypatch):
    """Its end may be seen before its readiness is; the record ends in any case."""
    wait_for = ChildChannel.wait_for

    async def late(channel, is_it):
        message = await wait_for(channel, is_it)
        if moment == "exited":
            await channel._child.wait()
        elif moment == "closed":
            await channel._child.result()
        return message

    monkeypatch.setattr(ChildChannel, "wait_for", late)
    finals = []
    async with ProcessManager() as manager:
        manager.subscribe(lambda event: event.what == "exited" and finals.append(event.record.id))
        goes = await manager.fork("importable:goes", env={"PYTHONPATH": str(WORKERS)}, id="goes")
        await goes.process.child.result()
        assert (goes.record.status, goes.record.exit_code) == ("exited", 0)
        assert manager.running() == ()
    assert finals == ["goes"]


async def test_events_as_a_stream():
    async with ProcessManager() as manager:
        with manager.events() as events:
            await manager.run("echo", "hi", id="e")
            seen = []
            async for event in events:
                seen.append((event.what, event.data))
                if event.what == "exited":
                    break
            assert seen == [("starting", b""), ("running", b""), ("output", b"hi\n"), ("exited", b"")]
        manager.cleanup()


async def test_signalling_any_pid_safely():
    async with ProcessManager() as manager:
        sleeping = await manager.spawn("sleep", "60")
        pid, began = sleeping.process.pid, sleeping.process.start_time
        with pytest.raises(ProcessEnded, match="another process now"):
            manager.signal_pid(pid, signal.SIGKILL, start_time=began + 1)
        assert sleeping.process.is_running
        manager.signal_pid(pid, signal.SIGKILL, start_time=began)
        assert (await sleeping.process.wait()).signal_name == "SIGKILL"
        with pytest.raises(ProcessEnded, match="no such process"):
            manager.signal_pid(pid, signal.SIGKILL)
        for wrong in (0, -1):
            with pytest.raises(UsageError, match="is no process"):
                manager.signal_pid(wrong, signal.SIGKILL)
