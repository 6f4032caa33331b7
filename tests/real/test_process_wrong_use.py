"""What is asked for in a wrong way is refused, in words, before anything is started; a broken stderr breaks nothing."""

import asyncio
import io
import itertools
import sys
from pathlib import Path

import pytest

from rookery import PIPE, ProcessManager, errors, run, shell, spawn, tee
from rookery.process.guard import Guard
from rookery.process.reaper import TABLE
from rookery.supervise.process_record import Status

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"timeout": float("nan")}, errors.UsageError, "more than 0, not nan"),
        ({"timeout": "5"}, errors.UsageError, "timeout is a number of seconds, not '5'"),
        ({"timeout": True}, errors.UsageError, "a number of seconds"),
        ({"idle_timeout": 0}, errors.UsageError, "more than 0"),
        ({"graceful_timeout": -1}, errors.UsageError, "0 or more"),
        ({"graceful_timeout": None}, errors.UsageError, "a number of seconds, not None"),
        ({"output_grace": "1"}, errors.UsageError, "a number of seconds"),
        ({"max_output": 1e6}, errors.UsageError, "a whole number"),
        ({"buffer": 0}, errors.UsageError, "more than 0"),
        ({"nice": "x"}, errors.UsageError, "nice is a whole number"),
        ({"umask": -1}, errors.UsageError, "0 or more"),
        ({"env": {"A": b"b"}}, errors.UsageError, "'A' is to be text"),
        ({"env": {b"A": "b"}}, errors.UsageError, "b'A' is to be text"),
        ({"user": -1}, errors.UserUnknown, "no user -1"),
        ({"user": 2**40}, errors.UserUnknown, "no user"),
        ({"group": -1}, errors.UserUnknown, "no group -1"),
        ({"groups": ["4294967295"]}, errors.UserUnknown, "no group 4294967295"),
        ({"rlimits": {"nofile": "1; touch x"}}, errors.SpawnError, "from 0 on, or -1 for none"),
        ({"rlimits": {"nofile": -2}}, errors.SpawnError, "from 0 on, or -1 for none"),
        ({"stdin": PIPE}, errors.UsageError, "nobody could write to a live stdin"),
        ({"stdout": tee(PIPE)}, errors.UsageError, "nobody could read a live stdout"),
        ({"stdout": "/dev/null", "stderr": "/dev/null", "idle_timeout": 1}, errors.UsageError, "comes to us"),
    ],
)  # fmt: skip
async def test_a_wrong_option_is_refused_and_nothing_started(options, kind, text):
    with pytest.raises(kind, match=text):
        await run("sleep", "1000", **options)
    with pytest.raises(kind, match=text):
        await shell("sleep 1000", **options)
    async with ProcessManager() as manager:
        with pytest.raises(kind, match=text):
            await manager.run("sleep", "1000", **options)
        assert {record.status for record in manager.list()} <= {Status.FAILED_TO_START}
    assert TABLE.alive() == []


async def test_a_live_stream_in_what_is_run_is_refused_wherever_it_stands():
    for described in (
        spawn("cat", stdin=PIPE),
        spawn("cat", stdin=PIPE) | spawn("wc"),
        spawn("echo") | spawn("cat", stdout=PIPE),
        spawn("echo", stderr=PIPE) | spawn("cat"),
    ):
        with pytest.raises(errors.UsageError, match="nobody could"):
            await run(described)


def test_without_an_event_loop_nothing_is_started():
    with pytest.raises((errors.UsageError, RuntimeError)):
        spawn("sleep", "1000").start()


async def test_what_may_be_an_environment_variable_and_a_limit():
    env = {"NUMBER": 3, "PATH_OF": Path("/x")}
    shown = (await run("/usr/bin/env", env=env)).stdout.split()
    assert {"NUMBER=3", "PATH_OF=/x"} <= set(shown)
    assert (await run("/bin/sh", "-c", "ulimit -t", rlimits={"cpu": -1})).stdout == "unlimited\n"


async def test_an_input_that_is_no_text_leaves_no_child():
    with pytest.raises(UnicodeEncodeError):
        await run("cat", input="\ud800")
    async with asyncio.timeout(20):
        while TABLE.alive():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Broken(io.StringIO):
    def write(self, _):
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [Broken(), None], ids=["broken", "none"])
async def test_verbose_with_a_stderr_that_cannot_be_written_to(stderr, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    async with asyncio.timeout(20):
        assert (await run("echo", "a", verbose=True)).stdout == "a\n"
        with pytest.raises(errors.CommandNotFound):
            await run("no-such-command-here", verbose=True)


def test_cookies_differ_whoever_asks():
    guard = Guard()
    assert isinstance(guard._numbers, itertools.count)
    assert len({guard.cookie() for _ in range(100)}) == 100
    assert guard.cookie(detached=True).partition(":")[0] != guard.scope


async def test_a_close_in_the_moment_in_which_a_child_ends():
    """Its end is heard in the turn of the loop in which close() is called, before the parts of close() begin."""
    manager = ProcessManager()
    child = await manager.spawn("sleep", "1000")
    closing = asyncio.ensure_future(manager.close())
    asyncio.get_running_loop().call_soon(manager._ledger.alive.pop, child.id)
    await closing
    assert not child.process.is_running
