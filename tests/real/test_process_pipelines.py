"""Pipelines: what every stage did, who fails, and that nobody else holds an end."""

import asyncio
import os

import pytest

from rookery import DISCARD, PIPE, errors, run, spawn
from rookery._os import kernel
from rookery.process.reaper import TABLE

pytestmark = pytest.mark.real


async def test_every_stage_is_in_the_result():
    result = await run(spawn("printf", "b\na\nb\n") | spawn("sort") | spawn("uniq", "-c"))
    assert [line.split() for line in result.stdout.splitlines()] == [["1", "a"], ["2", "b"]]
    assert [stage.returncode for stage in result.stages] == [0, 0, 0]
    assert result.ok
    assert result.escaped_command.startswith("printf")
    assert result.escaped_command.endswith("| sort | uniq -c")


async def test_grep_and_wc_end_when_the_input_does(tmp_path):
    path = tmp_path / "log"
    path.write_text("error one\nfine\nerror two\n")
    with path.open() as file:
        result = await run(spawn("grep", "error", stdin=file) | spawn("wc", "-l"))
    assert result.stdout.strip() == "2"
    fed = await run(spawn("grep", "x", input="x\ny\nx\n") | spawn("wc", "-l"))
    assert fed.stdout.strip() == "2"


async def test_no_byte_comes_here():
    """Nobody but the two has the pipe between them."""
    async with spawn("cat", stdin=PIPE) | spawn("cat") as pipeline:
        first, last = pipeline.children
        between = os.readlink(f"/proc/{first.pid}/fd/1")
        assert os.readlink(f"/proc/{last.pid}/fd/0") == between
        assert between not in {_target(fd) for fd in os.listdir("/proc/self/fd")}
        assert first.stdout is None
        await pipeline.stdin.write("through")
        pipeline.stdin.close()
        assert await pipeline.stdout.read() == "through"
        assert (await pipeline.result()).ok


def _target(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None


async def test_a_failure_of_any_stage_is_the_pipelines():
    with pytest.raises(errors.ProcessFailed, match=r"stage 1 \(sh\) exited with code 3") as caught:
        await run(spawn("sh", "-c", "echo a; echo bad >&2; exit 3") | spawn("cat"))
    result = caught.value.result
    assert (result.returncode, result.stdout, result.stderr) == (3, "a\n", "bad\n")
    pipeline = spawn("sh", "-c", "exit 3") | spawn("cat")
    assert (await run(pipeline.with_last())).ok
    assert (await run(spawn("sh", "-c", "exit 3", check=False) | spawn("cat"))).returncode == 3


async def test_who_read_enough_may_leave():
    result = await run(spawn("yes") | spawn("head", "-n2"))
    assert (result.stdout, result.ok, result.stages[0].signal) == ("y\ny\n", True, "SIGPIPE")


async def test_the_time_limit_of_one_stage_and_cancelling():
    with pytest.raises(errors.TimedOut):
        await run(spawn("sleep", "1000", timeout=0.1) | spawn("cat"))
    task = asyncio.ensure_future(run(spawn("yes") | spawn("sh", "-c", "cat >/dev/null; sleep 1000")))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert TABLE.alive() == []


async def test_a_stage_that_cannot_be_started_takes_the_others_along():
    with pytest.raises(errors.CommandNotFound):
        await run(spawn("yes") | spawn("cat") | spawn("no-such-command-here"))
    for _ in range(200):
        if not TABLE.alive():
            break
        await asyncio.sleep(0.01)
    assert TABLE.alive() == []


async def test_the_block_ends_all():
    async with spawn("yes") | spawn("cat", stdout=DISCARD) as pipeline:
        pids = [(child.pid, child.start_time) for child in pipeline.children]
        assert all(kernel.is_alive(*one) for one in pids)
    assert not any(kernel.is_alive(*one) for one in pids)


async def test_streams_that_a_neighbour_takes_are_refused():
    with pytest.raises(errors.UsageError, match="neighbour"):
        await run(spawn("yes", stdout=DISCARD) | spawn("cat"))
    with pytest.raises(errors.UsageError, match="neighbour"):
        await run(spawn("yes") | spawn("cat", stdin=PIPE))
