"""Commands from start to result: what comes back, what goes wrong and how it is said."""

import asyncio
import io
import os
import pickle
import sys
import threading

import pytest

from capabilities import DEADLINE
from rookery import CAPTURE, DISCARD, PIPE, STDOUT, errors, run, run_sync, shell, shell_sync, spawn, tee
from rookery._os import kernel
from rookery.process.reaper import TABLE
from rookery.testing import wait_until

pytestmark = pytest.mark.real
ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"


def py(code, *args):
    return (sys.executable, "-I", "-S", "-c", code, *args)


async def test_what_is_in_a_result():
    result = await run("/bin/sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr, result.returncode, result.signal, result.ok) == (
        "out\n",
        "err\n",
        0,
        None,
        True,
    )
    assert sorted(result.all.splitlines()) == ["err", "out"]
    assert result.command == ("/bin/sh", "-c", "echo out; echo err >&2")
    assert result.escaped_command == "/bin/sh -c 'echo out; echo err >&2'"
    assert result.pid > 0
    assert 0 < result.duration < 30
    assert (result.timed_out, result.truncated, result.cancelled, result.is_forced) == (None, False, False, False)


async def test_a_failure_carries_the_same_result():
    with pytest.raises(errors.ProcessFailed, match="exited with code 3") as caught:
        await shell("echo so; echo 'no such table' >&2; exit 3")
    result = caught.value.result
    assert (result.returncode, result.stdout, result.stderr, result.ok) == (3, "so\n", "no such table\n", False)
    assert "no such table" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.result, str(again)) == (result, str(caught.value))


async def test_check_and_ok_exit_codes():
    assert (await shell("exit 3", check=False)).returncode == 3
    result = await run("grep", "nothing", "/dev/null", ok_exit_codes={0, 1})
    assert (result.returncode, result.ok) == (1, True)
    with pytest.raises(errors.ProcessFailed, match="killed by SIGKILL"):
        await shell("kill -9 $$", ok_exit_codes={0, 9})


async def test_text_on_stderr_alone_is_no_failure():
    assert (await shell("echo warning >&2")).stderr == "warning\n"


async def test_bytes_and_other_encodings():
    raw = await run(*py(ECHO), input=b"\xff\x00\xe9", encoding=None)
    assert raw.stdout == b"\xff\x00\xe9"
    assert (await run(*py(ECHO), input="né", encoding="latin-1")).stdout == "né"
    assert (await run(*py(ECHO), input=b"a\xffb")).stdout == "a\ufffdb"
    with pytest.raises(UnicodeDecodeError):
        await run(*py(ECHO), input=b"a\xffb", errors="strict")


async def test_interleaved_output_keeps_characters_that_are_cut():
    code = """
import os, sys
out, err = "é€".encode(), "ü".encode()
for one in range(len(out)):
    os.write(1, out[one:one + 1])
    sys.stdin.buffer.readline()
    os.write(2, err[one:one + 1])
    sys.stdin.buffer.readline()
"""

    # Each byte is written when the one before has been read, so the order is what it says.
    async def all_turns():
        for _ in range(10):
            yield "\n"
            await asyncio.sleep(0.01)

    result = await run(*py(code), input=all_turns())
    assert (result.stdout, result.stderr) == ("é€", "ü")
    assert sorted(result.all) == sorted("é€ü")


async def test_stderr_to_stdout_is_in_exact_order():
    result = await shell("for i in 1 2 3; do echo out$i; echo err$i >&2; done", stderr=STDOUT)
    assert result.stdout.split() == ["out1", "err1", "out2", "err2", "out3", "err3"]
    assert result.all == result.stdout


BIG = "é" * 300_000


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("hello", "hello"),
        (b"hello", "hello"),
        (bytearray(b"hello"), "hello"),
        ("", ""),
        (BIG, BIG),
        (io.StringIO("a file"), "a file"),
        (io.BytesIO(b"x" * 200_000), "x" * 200_000),
        (["a", b"b", "c"], "abc"),
        ((str(n) for n in range(5)), "01234"),
    ],
    ids=["text", "bytes", "bytearray", "empty", "big", "StringIO", "BytesIO", "list", "generator"],
)
async def test_input(data, expected):
    assert (await run(*py(ECHO), input=data)).stdout == expected


async def test_input_from_an_async_iterable_and_a_file(tmp_path):
    async def pieces():
        for piece in ("one ", "two"):
            await asyncio.sleep(0)
            yield piece

    assert (await run(*py(ECHO), input=pieces())).stdout == "one two"
    path = tmp_path / "in"
    path.write_text("from a file")
    assert (await run(*py(ECHO), stdin=path)).stdout == "from a file"
    with path.open() as file:
        assert (await run(*py(ECHO), input=file)).stdout == "from a file"
    with path.open() as file:
        assert (await run(*py(ECHO), stdin=file)).stdout == "from a file"


async def test_who_does_not_read_his_input_is_no_failure():
    assert (await run("/bin/true", input="x" * 5_000_000)).ok
    assert (await run("head", "-c1", input=("x" * 1000 for _ in range(10_000)))).stdout == "x"


async def test_an_input_that_fails_ends_the_child_and_is_raised():
    def broken():
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run("sleep", "100", input=broken())


async def test_the_time_limit_takes_the_whole_tree():
    with pytest.raises(errors.TimedOut, match=r"time limit of 1 s") as caught:
        await shell("sleep 1000 & echo $!; wait", timeout=1.0)
    result = caught.value.result
    assert (result.timed_out, result.signal, result.ok) == ("timeout", "SIGTERM", False)
    assert not kernel.is_alive(int(result.stdout))


async def test_who_ignores_the_polite_signal_is_forced():
    with pytest.raises(errors.TimedOut) as caught:
        await shell("trap '' TERM; while :; do sleep 0.01; done", timeout=1.0, graceful_timeout=0.1)
    assert (caught.value.result.signal, caught.value.result.is_forced) == ("SIGKILL", True)


async def test_silence():
    said = await shell("for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done", idle_timeout=5)
    assert said.stdout.split() == list("123456")
    with pytest.raises(errors.TimedOut, match="without output") as caught:
        await shell("echo once; exec sleep 1000", idle_timeout=1.0)
    assert (caught.value.result.timed_out, caught.value.result.stdout) == ("idle_timeout", "once\n")


async def test_limits_are_not_errors_without_check():
    result = await run("sleep", "1000", timeout=0.1, check=False)
    assert (result.timed_out, result.ok) == ("timeout", False)


async def test_too_much_output():
    with pytest.raises(errors.OutputLimit, match="more than 1,000 bytes") as caught:
        await run("yes", max_output=1000)
    result = caught.value.result
    assert (len(result.stdout), result.truncated, result.ok) == (1000, True, False)
    result = await shell("head -c 5000 /dev/zero; echo >&2; exit 0", max_output=1000, on_max_output="truncate")
    assert (len(result.all), result.truncated, result.ok) == (1000, True, True)


async def test_timers_end_with_the_process():
    loop = asyncio.get_running_loop()
    await run("/bin/true", timeout=1000, idle_timeout=1000)
    limits = [timer for timer in loop._scheduled if not timer.cancelled() and timer.when() > loop.time() + 10]
    assert limits == []


async def test_a_grandchild_that_holds_the_output_open_does_not_hold_up_the_result():
    result = await shell("sleep 1000 & echo $!")
    assert result.ok
    assert not kernel.is_alive(int(result.stdout))


async def test_what_is_written_in_the_moment_after_the_end_is_kept():
    assert (await shell("(sleep 0.05; echo late) & echo now")).stdout.split() == ["now", "late"]


@pytest.mark.parametrize("at", range(14))
async def test_cancelled_at_any_point_nothing_is_left(at):
    """Each turn of the event loop is one place to be cancelled at."""
    task = asyncio.ensure_future(shell("setsid sleep 1000 & sleep 1000", input=iter(["x"] * 3)))
    for _ in range(at):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert TABLE.alive() == []


async def test_a_second_cancellation_kills_at_once():
    started = asyncio.Event()
    task = asyncio.ensure_future(
        shell(
            "trap '' TERM; echo up; while :; do sleep 0.01; done",
            on_event=lambda event: event.data and started.set(),
            graceful_timeout=10 * DEADLINE,
        )
    )
    await started.wait()
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert TABLE.alive() == []


async def test_events_come_in_order():
    seen = []
    await shell("echo a; exit 0", on_event=seen.append)
    kinds = [event.kind for event in seen]
    assert (kinds[0], sorted(kinds[1:3]), kinds[3:]) == ("started", ["exited", "output"], ["closed"])
    output, exited = seen[kinds.index("output")], seen[kinds.index("exited")]
    assert (output.stream, output.data, exited.status.code, seen[3].result.stdout) == ("stdout", b"a\n", 0, "a\n")


async def test_tee_to_file_memory_and_function(tmp_path):
    heard, memory, log = [], io.BytesIO(), tmp_path / "log"
    result = await shell("echo one; echo two", stdout=tee(CAPTURE, log, heard.append, memory))
    assert result.stdout == log.read_text() == b"".join(heard).decode() == memory.getvalue().decode() == "one\ntwo\n"


async def test_a_function_that_raises_ends_the_child():
    def broken(data):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await shell("echo a; exec sleep 1000", stdout=broken)


async def test_output_to_files_and_nowhere(tmp_path):
    path = tmp_path / "out"
    result = await shell("echo out; echo err >&2", stdout=path, stderr=DISCARD)
    assert (result.stdout, result.stderr, path.read_text()) == ("", "", "out\n")
    with path.open("ab") as file:
        await shell("echo more", stdout=file)
    assert path.read_text() == "out\nmore\n"


async def test_verbose_says_what_is_run(capsys, monkeypatch):
    await shell("exit 0", verbose=True)
    monkeypatch.setenv("ROOKERY_VERBOSE", "1")
    await run("false", check=False)
    with pytest.raises(errors.CommandNotFound):
        await run("no-such-command-here")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("] ", 2)[2].split(" ")[0] for line in lines] == ["$", "✓", "$", "✗", "$", "✗"]
    assert lines[0].endswith("$ exit 0")
    assert "exited with code 1" in lines[3]
    assert "no such command" in lines[5]


async def test_wrong_options_say_so():
    with pytest.raises(errors.UsageError, match="no option 'timout'") as caught:
        await run("true", timout=3)
    assert "timeout" in caught.value.hint
    for options, text in [
        ({"input": "x", "stdin": PIPE}, "two words"),
        ({"timeout": 0}, "more than 0"),
        ({"on_max_output": "cut"}, "'kill' or 'truncate'"),
        ({"stdout": PIPE}, "nobody could read"),
        ({"stop_signal": "SIGNOT"}, "no signal"),
        ({"encoding": "utf-99"}, "unknown encoding"),
        ({"fds": {1: 2}}, "from 3 on"),
        ({"pty": True, "stdout": DISCARD}, "the terminal is"),
    ]:
        with pytest.raises(errors.UsageError, match=text):
            await run("sleep", "0.01", **options)
    with pytest.raises(errors.UsageError, match="an argument is"):
        await run("true", ["a"])
    with pytest.raises(errors.SpawnError, match="cannot open"):
        await run("true", stdout="/nonexistent/folder/file")
    await asyncio.sleep(0)
    assert TABLE.alive() == []


async def test_a_failed_start_leaves_nothing_half_done():
    with pytest.raises(errors.CommandNotFound) as caught:
        await run("pythn3", input="x" * 100_000)
    assert any("python" in name for name in caught.value.near)


def test_blocking():
    assert run_sync("echo", "a").stdout == "a\n"
    assert shell_sync("echo {x}", {"x": "$HOME"}).stdout == "$HOME\n"
    assert run_sync(spawn("echo", "b") | spawn("cat")).stdout == "b\n"
    with pytest.raises(errors.ProcessFailed):
        shell_sync("exit 1")
    found = []
    thread = threading.Thread(target=lambda: found.append(run_sync("echo", "c").stdout))
    thread.start()
    thread.join()
    assert found == ["c\n"]


async def test_blocking_inside_a_loop_is_refused():
    with pytest.raises(errors.UsageError, match="would stand still"):
        run_sync("true")


async def test_many_runs_leave_nothing_behind():
    """Descriptors, zombies, threads: the leak check; memory: here."""

    async def some(count):
        for _ in range(count):
            await run("/bin/true")

    await asyncio.gather(*(some(10) for _ in range(10)))
    before = _memory()
    fds = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(some(100) for _ in range(10)))
    assert len(os.listdir("/proc/self/fd")) == fds
    assert TABLE.alive() == []
    assert kernel.children(os.getpid()) == [] or wait_until(lambda: _zombies() == [], what="no zombies") is True
    assert _memory() - before < 3_000_000


def _memory():
    return kernel.facts(os.getpid()).rss_pages * kernel.PAGE_SIZE


def _zombies():
    return [pid for pid in kernel.children(os.getpid()) if kernel.facts(pid).state == "Z"]
