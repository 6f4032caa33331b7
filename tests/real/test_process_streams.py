"""Live streams: lines, chunks, back-pressure, nobody who reads, and what two children share."""

import asyncio
import gc
import os
import signal
import sys

import pytest

from capabilities import DEADLINE
from rookery import CAPTURE, DISCARD, INHERIT, PIPE, STDOUT, errors, run, spawn, tee
from rookery._os import kernel
from rookery.process import output
from rookery.process.reaper import TABLE
from rookery.testing import wait_until

pytestmark = pytest.mark.real


def py(code, *args):
    return (sys.executable, "-I", "-S", "-c", code, *args)


async def test_lines_as_they_come():
    async with spawn("cat", stdin=PIPE) as child:
        lines = aiter(child.stdout)
        for text in ("one", "two", ""):
            await child.stdin.write(text + "\n")
            assert await anext(lines) == text
        await child.stdin.write("no end")
        child.stdin.close()
        assert [line async for line in lines] == ["no end"]
        assert (await child.wait()).code == 0
    assert child.stdout.is_ended


async def test_only_a_newline_ends_a_line():
    text = "a\rb\x0bc\x0cd\x1ce\x85f\u2028g"
    async with spawn(*py("import sys; sys.stdout.buffer.write(sys.argv[1].encode() + b'\\r\\n')", text)) as child:
        assert [line async for line in child.stdout] == [text + "\r"]


@pytest.mark.parametrize("encoding", ["utf-8", None, "utf-16-le"])
async def test_a_very_long_line_passes_whole(encoding):
    size = 50_000_000
    async with spawn("head", "-c", str(size), "/dev/zero", encoding=encoding) as child:
        lines = [line async for line in child.stdout]
    assert [len(line) for line in lines] == [size // 2 if encoding == "utf-16-le" else size]


async def test_characters_that_are_cut_anywhere():
    code = (
        "import os, sys, time\nfor one in 'é€😀x\\nß'.encode():\n    os.write(1, bytes([one]))\n    time.sleep(0.002)"
    )
    async with spawn(*py(code)) as child:
        assert [line async for line in child.stdout] == ["é€😀x", "ß"]
    async with spawn(*py(code)) as child:
        pieces = [piece async for piece in child.stdout.iter_chunks()]
    assert "".join(pieces) == "é€😀x\nß"
    assert "\ufffd" not in "".join(pieces)


async def test_a_loop_may_be_left_and_gone_on_with_in_any_way():
    async with spawn("seq", "1", "100000") as child:
        async for line in child.stdout:
            if line == "5":
                break
        async for line in child.stdout:
            assert line == "6"
            break
        assert await child.stdout.read(3) == "7\n8"
        async for piece in child.stdout.iter_chunks():
            assert piece.startswith("\n9\n10\n11\n")
            break
        rest = await child.stdout.read()
        assert rest.endswith("99999\n100000\n")
        assert await child.stdout.read() == ""


async def test_a_cancelled_read_loses_nothing():
    async with spawn("cat", stdin=PIPE) as child:
        await child.stdin.write("beginning ")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.stdout.read(), 0.05)
        await child.stdin.write("end")
        child.stdin.close()
        assert await child.stdout.read() == "beginning end"


async def test_one_reader_at_a_time():
    async with spawn("cat", stdin=PIPE) as child:
        first = asyncio.ensure_future(child.stdout.read())
        await asyncio.sleep(0)
        with pytest.raises(errors.UsageError, match="somebody else is reading"):
            await child.stdout.read()
        child.stdin.close()
        assert await first == ""


COUNTS = """
import os, sys
block = b"x" * 65536
for number in range(100):
    os.write(1, block)
    os.write(2, b"%d\\n" % number)
"""


async def test_a_slow_reader_holds_the_child_up():
    async with spawn(*py(COUNTS), buffer=65536) as child:
        first = await child.stdout.read(1)
        await asyncio.sleep(0.3)
        seen = int((await child.stderr.read(10_000)).split()[-1])
        assert seen < 60  # it waits: a pipe of 1 MiB at the most, and the buffer
        assert len(first + await child.stdout.read()) == 100 * 65536
        assert child.stdout.dropped == 0


async def test_a_pipe_that_nobody_reads_does_not_block_the_child(monkeypatch):
    monkeypatch.setattr(output, "_PATIENCE", 0.05)
    async with spawn(*py(COUNTS), buffer=200_000) as child:
        assert (await asyncio.wait_for(child.wait(), 20)).code == 0
        await child.result()
        assert child.stdout.dropped > 5_000_000
        rest = await child.stdout.read()
        assert len(rest) + child.stdout.dropped == 100 * 65536


async def test_many_wait_at_once_and_one_gives_up():
    async with spawn("cat", stdin=PIPE) as child:
        waits = [asyncio.ensure_future(child.wait()) for _ in range(5)]
        results = [asyncio.ensure_future(child.result()) for _ in range(5)]
        await asyncio.sleep(0)
        waits.pop().cancel()
        results.pop().cancel()
        child.stdin.close()
        assert {status.code for status in await asyncio.gather(*waits)} == {0}
        assert len({id(result) for result in await asyncio.gather(*results)}) == 1


async def test_exit_and_end_of_output_are_two_events():
    async with spawn("sh", "-c", "sleep 1000 & echo said", output_grace=0.3) as child:
        assert (await asyncio.wait_for(child.wait(), 5)).code == 0
        assert [line async for line in child.stdout] == ["said"]


async def test_writing_to_who_has_gone():
    async with spawn("true", stdin=PIPE) as child:
        await child.wait()
        with pytest.raises(errors.InputClosed):
            await child.stdin.write("x" * 1_000_000)


async def test_a_large_write_waits_for_the_reader():
    async with spawn(*py("import sys; sys.stdin.readline(); print(len(sys.stdin.read()))"), stdin=PIPE) as child:
        writing = asyncio.ensure_future(child.stdin.write("\n" + "x" * 5_000_000))
        await writing
        child.stdin.close()
        assert await child.stdout.read() == "5000000\n"


async def test_an_output_given_to_another_child():
    async with spawn("seq", "1", "1000") as numbers:
        result = await run("tail", "-n1", stdin=numbers.stdout)
        assert result.stdout == "1000\n"
    async with spawn("seq", "1", "1000") as numbers:
        assert await numbers.stdout.read(2) == "1\n"  # begun: now it goes through us
        assert (await run("head", "-n1", input=numbers.stdout)).stdout == "2\n"


async def test_tee_to_a_live_stream_and_a_file(tmp_path):
    path = tmp_path / "log"
    async with spawn("seq", "1", "3", stdout=tee(PIPE, path)) as child:
        assert [line async for line in child.stdout] == ["1", "2", "3"]
    assert path.read_text() == "1\n2\n3\n"
    with pytest.raises(errors.UsageError):
        tee(PIPE, CAPTURE)


async def test_inherit(capfd):
    async with spawn("sh", "-c", "echo shown; echo bad >&2", stdout=INHERIT, stderr=STDOUT) as child:
        await child.wait()
    assert sorted(capfd.readouterr().out.split()) == ["bad", "shown"]
    await run("echo", "both", stdout=tee(CAPTURE, INHERIT))
    assert capfd.readouterr().out == "both\n"


async def test_the_end_of_a_block_leaves_nothing_behind():
    async with spawn("sh", "-c", "setsid sleep 1000 & sleep 1000 & echo up; wait") as child:
        await anext(aiter(child.stdout))
    result = await child.result()
    assert (result.cancelled, result.signal) == (True, "SIGTERM")
    with pytest.raises(ZeroDivisionError):
        async with spawn("sleep", "1000", stdout=DISCARD, stderr=DISCARD) as child:
            raise ZeroDivisionError
    assert not child.is_running
    assert TABLE.alive() == []


async def test_the_last_steps_of_a_child_are_waited_for():
    code = "import os, sys, time; os.close(1); os.close(2); time.sleep(0.1); sys.exit(7)"
    async with spawn(*py(code)) as child:
        assert await child.stdout.read() == ""
        assert await child.stderr.read() == ""
    assert child.returncode == 7


async def test_who_is_written_to_may_finish_his_work(tmp_path):
    path = tmp_path / "sorted"
    async with spawn("sh", "-c", "sleep 0.1; sort", stdin=PIPE, stdout=path) as child:
        await child.stdin.write("b\na\n")
    assert (child.returncode, path.read_text()) == (0, "a\nb\n")
    async with spawn("sleep", "1000", stdin=PIPE, graceful_timeout=0.5) as child:
        pass
    assert child.returncode == -15


async def test_handed_over_and_stopped():
    child = await spawn("sleep", "1000")
    assert child.is_running
    assert child.returncode is None
    assert child.signal(signal.SIGSTOP)
    assert child.signal(signal.SIGCONT)
    result = await child.stop()
    assert (result.signal, result.cancelled, child.returncode) == ("SIGTERM", True, -15)
    assert child.signal(signal.SIGTERM) is False
    assert await child.stop() is result


async def test_kill_overtakes_a_polite_stop():
    deaf = spawn("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done", graceful_timeout=10 * DEADLINE)
    async with deaf as child, asyncio.timeout(DEADLINE):
        await anext(aiter(child.stdout))
        polite = asyncio.ensure_future(child.stop())
        await asyncio.sleep(0.05)
        result = await child.kill()
        assert (result.signal, result.is_forced) == ("SIGKILL", True)
        await polite


async def test_a_description_can_be_used_again():
    command = spawn("echo", "again")
    for _ in range(2):
        async with command as child:
            assert await child.stdout.read() == "again\n"
    assert (await run(command)).stdout == "again\n"
    async with command:
        with pytest.raises(errors.UsageError, match="entered already"):
            async with command:
                pass


async def test_a_terminal():
    code = """
import os, sys, signal
print(*(os.isatty(fd) for fd in range(3)), *os.get_terminal_size(), os.tcgetpgrp(0) == os.getpgrp())
# Not by print(): the signal may come in the middle of one.
signal.signal(signal.SIGWINCH, lambda *_: (os.write(1, b"%d %d\\n" % os.get_terminal_size()), os._exit(0)))
print("asks")
print("got", input())
signal.pause()
"""
    async with spawn(*py(code), pty=(30, 100)) as child:
        lines = aiter(child.stdout)
        assert (await anext(lines)).strip() == "True True True 100 30 True"
        assert (await anext(lines)).strip() == "asks"
        await child.stdin.write("Ann\n")
        assert (await anext(lines)).strip() == "Ann"  # the terminal's echo
        assert (await anext(lines)).strip() == "got Ann"
        child.resize(40, 120)
        assert (await anext(lines)).strip() == "120 40"
    assert child.returncode == 0
    assert child.stderr is None


async def test_priority_cpus_and_limits():
    code = """
import os, resource
print(os.nice(0), sorted(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_NOFILE), oct(os.umask(0)))
"""
    cpu = min(os.sched_getaffinity(0))
    before = os.nice(0), os.sched_getaffinity(0)
    result = await run(*py(code), nice=5, affinity={cpu}, rlimits={"nofile": 77}, umask=0o027)
    assert result.stdout == f"{before[0] + 5} [{cpu}] (77, 77) 0o27\n"
    assert (os.nice(0), os.sched_getaffinity(0)) == before
    with pytest.raises(errors.SpawnError, match="none of the CPUs"):
        await run("true", affinity={1023})


async def test_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_US", "1")
    file = tmp_path / "x.env"
    file.write_text("FROM_FILE='two words'\nBOTH=file\n")
    show = ("/usr/bin/env",)
    merged = (await run(*show, env={"BOTH": "call", "PATH": None}, env_file=file)).stdout.splitlines()
    assert {"FROM_US=1", "FROM_FILE=two words", "BOTH=call"} <= set(merged)
    assert not any(line.startswith("PATH=") for line in merged)
    exact = (await run(*show, env={"ONLY": "this"}, extend_env=False)).stdout.splitlines()
    assert [line for line in exact if not line.startswith("ROOKERY_UNIT=")] == ["ONLY=this"]
    monkeypatch.setenv("FROM_US", "2")
    assert "FROM_US=2" in (await run(*show)).stdout.splitlines()
    with pytest.raises(errors.ConfigError):
        await run(*show, env_file=tmp_path / "missing")


async def test_extra_descriptors():
    ours, theirs = os.pipe()
    try:
        await run("/bin/sh", "-c", "echo through >&5", fds={5: theirs})
        assert os.read(ours, 100) == b"through\n"
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
async def test_another_user_does_not_keep_our_groups():
    assert (await run("id", user="nobody", cwd="/")).stdout.startswith(
        "uid=65534(nobody) gid=65534(nogroup) groups=65534"
    )
    assert "uid=12345 gid=7" in (await run("id", user=12345, group=7, cwd="/")).stdout
    with pytest.raises(errors.UserUnknown, match="no user 'nobdy'") as caught:
        await run("id", user="nobdy")
    assert "nobody" in caught.value.hint


async def test_nothing_of_an_ended_child_waits_for_the_collector():
    gc.collect()
    gc.disable()
    try:
        before = _memory()
        for _ in range(20):
            await run("head", "-c", "5000000", "/dev/zero", timeout=60, idle_timeout=60)
            async with spawn("head", "-c", "5000000", "/dev/zero") as child:
                await child.stdout.read()
            del child
        await asyncio.sleep(0)
        assert _memory() - before < 60_000_000
    finally:
        gc.enable()


def _memory():
    return kernel.facts(os.getpid()).rss_pages * kernel.PAGE_SIZE


async def test_a_thousand_children_leave_nothing():
    await run("/bin/true")  # from the first child on a loop keeps a few descriptors
    before = len(os.listdir("/proc/self/fd"))

    async def some():
        for _ in range(20):
            async with spawn("/bin/true") as child:
                await child.wait()

    await asyncio.gather(*(some() for _ in range(50)))
    assert TABLE.alive() == []
    memory = _memory()
    await asyncio.gather(*(some() for _ in range(50)))
    assert _memory() - memory < 3_000_000
    wait_until(
        lambda: len(os.listdir("/proc/self/fd")) <= before + 1, what="the descriptors from before, and the guardian's"
    )
