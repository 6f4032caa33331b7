"""The collector as a process of its own, with real FIFOs and real writers."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from collector_harness import DEADLINE, ROOT, Client, chain, expected, fds_of, wait_until

from rookery._base.framing import frame

pytestmark = pytest.mark.real


def test_output_arrives_whole_and_rotated(collector, tmp_path):
    assert collector.open("1", max_size=300_000) == {"id": 2, "ok": True, "already": False, "problems": {}}
    assert collector.write("1", 60_000).wait(DEADLINE) == 0
    path, size, _ = collector.flush("1")
    files = chain(path)
    assert b"".join(files) == expected("1", 60_000)
    assert size == len(files[-1])
    assert len(files) > 5
    assert all(content.endswith(b"\n") for content in files)
    stats = collector.client.ask("stats")
    sent = len(expected("1", 60_000))
    assert stats["sources"] == [{"unit": "1", "generation": 1, "stream": "out", "bytes": sent, "dropped": 0}]
    assert stats["files"][0]["rotations"] == len(files) - 1


def test_two_writers_of_one_file_never_mix_their_lines(collector, tmp_path):
    shared = tmp_path / "all.log"
    for unit in ("1", "2"):
        collector.open(unit, shared, max_size=500_000)
    writers = [collector.write("1", 30_000, block=7), collector.write("2", 30_000, block=11)]
    assert [writer.wait(DEADLINE) for writer in writers] == [0, 0]
    collector.flush("1")
    collector.flush("2")
    lines = b"".join(chain(shared)).splitlines(keepends=True)
    for unit in ("1", "2"):
        assert b"".join(line for line in lines if line.startswith(unit.encode())) == expected(unit, 30_000)
    assert len(lines) == 60_000


def test_stamped_lines(collector, tmp_path):
    collector.open("1", timestamps=True)
    assert collector.write("1", 5_000, block=3).wait(DEADLINE) == 0
    path, *_ = collector.flush("1")
    lines = Path(path).read_bytes().splitlines(keepends=True)
    assert b"".join(line[30:] for line in lines) == expected("1", 5_000)
    assert all(line[4:5] == b"-" and line[10:11] == b"T" and line[29:30] == b" " for line in lines)


def test_flush_writes_what_is_in_the_pipe_even_half_a_line(collector):
    collector.open("1")
    os.write(collector.fifo("1"), b"a\nhalf")
    path, size, _ = collector.flush("1")
    assert Path(path).read_bytes() == b"a\nhalf"
    assert size == 6


def test_close_flushes_and_lets_go_of_the_pipe(collector):
    before = len(fds_of(collector.process))
    collector.open("1")
    os.write(collector.fifo("1"), b"a\n")
    answer = collector.client.ask("close", unit="1", generation=1)
    assert Path(answer["offsets"]["out"][0]).read_bytes() == b"a\n"
    assert len(fds_of(collector.process)) == before
    assert collector.client.ask("flush", unit="1", generation=1)["offsets"] == {}
    os.write(collector.fifo("1"), b"b\n")
    collector.open("1", generation=2)
    assert Path(collector.flush("1", 2)[0]).read_bytes() == b"a\nb\n"


def test_open_again_changes_nothing(collector):
    collector.open("1")
    before = len(fds_of(collector.process))
    assert collector.open("1")["already"] is True
    assert len(fds_of(collector.process)) == before
    assert collector.client.ask("hello")["units"] == [["1", 1]]


def test_the_app_may_write_while_nobody_asks_for_anything(collector, tmp_path):
    collector.open("1")
    collector.client.close()
    os.write(collector.fifo("1"), b"a\n")
    wait_until(lambda: (tmp_path / "1.log").read_bytes() == b"a\n", "the line in the file")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_0(collector, tmp_path, number):
    """But for the unfinished line in a shared file: it waits in its pipe for the next collector."""
    shared = tmp_path / "all.log"
    collector.open("1", shared)
    collector.open("2", shared)
    collector.open("3")
    os.write(collector.fifo("1"), b"a\nhalf")
    os.write(collector.fifo("3"), b"a\nhalf")
    assert collector.end(number) == 0
    assert shared.read_bytes() == b"a\n"
    assert (tmp_path / "3.log").read_bytes() == b"a\nhalf"
    collector.start()
    collector.open("1", shared)
    os.write(collector.fifo("1"), b" and whole\n")
    collector.flush("1")
    assert shared.read_bytes() == b"a\nhalf and whole\n"


def test_hangup_is_ignored(collector):
    collector.process.send_signal(signal.SIGHUP)
    assert collector.client.ask("hello")["ok"]


def test_stop_drains_answers_and_exits_with_0(collector, tmp_path):
    collector.open("1")
    os.write(collector.fifo("1"), b"a\n")
    assert collector.client.ask("stop")["ok"]
    assert collector.process.wait(DEADLINE) == 0
    assert (tmp_path / "1.log").read_bytes() == b"a\n"


def test_a_restarted_collector_goes_on(collector, tmp_path):
    """Output waits in the FIFO while there is no collector; every line is there once and whole."""
    collector.open("1", max_size=200_000)
    writer = collector.write("1", 300_000)
    for _ in range(3):
        collector.wait_for_output(writer)
        assert collector.end() == 0
        collector.start()
        collector.open("1", max_size=200_000)
    assert writer.wait(DEADLINE) == 0
    path, *_ = collector.flush("1")
    assert b"".join(chain(path)) == expected("1", 300_000)


def test_a_killed_collector_loses_nothing_that_it_only_spliced(collector, tmp_path):
    collector.open("1")
    writer = collector.write("1", 200_000)
    for _ in range(5):
        collector.wait_for_output(writer)
        assert collector.end(signal.SIGKILL) == -signal.SIGKILL
        collector.start()
        collector.open("1")
    assert writer.wait(DEADLINE) == 0
    path, *_ = collector.flush("1")
    assert Path(path).read_bytes() == expected("1", 200_000)


def test_the_apps_pipe_stays_blocking(collector):
    collector.open("1")
    assert not fcntl.fcntl(collector.fifo("1"), fcntl.F_GETFL) & os.O_NONBLOCK


def test_an_app_that_reads_its_own_stdout_stops_nobody(collector):
    """Two readers of one pipe: what the collector was promised may be gone when it reads."""
    collector.open("thief")
    collector.open("1")
    thief = "import os\nwhile True: os.write(1, b'x' * 4000); os.read(1, 100000)"
    with subprocess.Popen([sys.executable, "-c", thief], stdout=collector.fifo("thief")) as process:
        try:
            assert collector.write("1", 30_000).wait(DEADLINE) == 0
            path, *_ = collector.flush("1")
        finally:
            process.kill()
    assert Path(path).read_bytes() == expected("1", 30_000)


def test_a_file_size_limit_is_survived_and_told(collector, tmp_path):
    """RLIMIT_FSIZE stands for a full disk; emptying the file gives the room back."""
    assert collector.end() == 0
    collector.start(RLIMIT_FSIZE=100_000)
    collector.open("1")
    assert collector.write("1", 10_000).wait(DEADLINE) == 0
    path, size, _ = collector.flush("1")
    assert size == 100_000
    assert expected("1", 10_000).startswith(Path(path).read_bytes())
    files = collector.client.ask("stats")["files"]
    assert files[0]["problem"] == "File too large"
    assert files[0]["dropped_bytes"] == len(expected("1", 10_000)) - 100_000
    lines = 10_000 - Path(path).read_bytes().count(b"\n")
    assert files[0]["dropped_lines"] == lines
    os.truncate(path, 0)
    wait_until(lambda: Path(path).read_bytes(), "the mark in the file")
    os.write(collector.fifo("1"), b"after\n")
    collector.flush("1")
    full, dropped = collector.client.events
    assert full == {"event": "log_full", "path": path, "why": "File too large", "blocks": False}
    gap = {"lines": lines, "bytes": files[0]["dropped_bytes"], "why": "File too large"}
    assert dropped == {"event": "log_dropped", "path": path, **gap}
    mark = f"[rookery] {lines} lines ({files[0]['dropped_bytes']} bytes) were dropped here: File too large\n"
    assert Path(path).read_text() == mark + "after\n"
    assert collector.said().count("File too large") == 1


def turns_of(process):
    """How often it has gone to sleep, and so how often it was woken."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_an_unfinished_line_wakes_nobody_and_its_rest_comes_at_once(collector):
    seen = {"at": 0.0, "turns": -1}

    def is_asleep():
        """The same number of turns for half a second."""
        turns, now = turns_of(collector.process), time.monotonic()
        if turns != seen["turns"]:
            seen.update(at=now, turns=turns)
        return now - seen["at"] > 0.5

    collector.open("1", format={"json": True, "app": "web"})
    collector.open("2", max_size=10_000_000)
    path = collector.folder / "1.log"
    for _ in range(2):
        os.write(collector.fifo("1"), b"half")
        os.write(collector.fifo("2"), b"half\nof one")
        wait_until(is_asleep, "that it sleeps while lines are unfinished")
        before = path.stat().st_size
        # More than the pipe holds, in one write: from where it is full the writer waits, and says nothing.
        rest = f"import os; os.write({collector.fifo('1')}, b'x' * 150_000 + b'\\n')"
        process = subprocess.Popen([sys.executable, "-c", rest], pass_fds=[collector.fifo("1")])
        assert process.wait(DEADLINE) == 0
        wait_until(lambda at=before: path.stat().st_size > at + 150_000, "the whole line")
    wait_until(is_asleep, "that it sleeps again")
    assert [len(json.loads(line)["message"]) for line in path.read_bytes().splitlines()] == [150_004] * 2


def test_reopen_after_another_ones_rotation(collector, tmp_path):
    collector.open("1")
    os.write(collector.fifo("1"), b"a\n")
    path, *_ = collector.flush("1")
    os.rename(path, f"{path}.old")
    assert collector.client.ask("reopen")["ok"]
    os.write(collector.fifo("1"), b"b\n")
    collector.flush("1")
    assert Path(path).read_bytes() == b"b\n"


STREAM = {"path": "/tmp/x.log", "max_size": 1, "keep": 1}


@pytest.mark.parametrize(
    "request_",
    [
        {"verb": "dance"},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["out"]},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["out", "err"], "streams": {"out": STREAM}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["err"], "streams": {"out": STREAM}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "path": "x"}}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "keep": -1}}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "path": "/\ud800"}}},
        {"verb": "open", "unit": "1", "generation": None, "order": ["out"], "streams": {"out": STREAM}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "rotate": "often"}}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "on_full": "cry"}}},
        {"verb": "open", "unit": "1", "generation": 1, "order": ["o"], "streams": {"o": {**STREAM, "combined": "x"}}},
        {"verb": "empty", "paths": ["x"]},
        {"verb": "flush", "unit": "1"},
    ],
)  # fmt: skip
def test_a_wrong_request_is_answered_and_keeps_no_fds(collector, request_):
    before = len(fds_of(collector.process))
    answer = collector.client.ask(**request_, fds=[collector.fifo("1")])
    assert answer["ok"] is False
    assert answer["error"]
    assert len(fds_of(collector.process)) == before
    assert collector.client.ask("hello")["units"] == []


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", frame(b"no json"), frame(b"[1]"), frame(b'{"id": 1, "verb": "hello", "fds": 2}'), b"\0"],
)
def test_a_bad_frame_sends_only_that_client_away(collector, data):
    before = len(fds_of(collector.process))
    other = Client(collector.folder / "c.sock")
    other.send(data, [collector.fifo("1")])
    if data == b"\0":
        other.close()
    else:
        with pytest.raises(EOFError):
            other.receive()
    other.close()
    assert collector.client.ask("hello")["ok"]
    wait_until(lambda: len(fds_of(collector.process)) == before, "the client's fds are closed")


def test_a_client_that_never_reads_holds_nobody_up(collector):
    deaf = Client(collector.folder / "c.sock")
    deaf.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            deaf.socket.send(frame(b'{"id": 1, "verb": "hello"}') * 100)
    assert collector.client.ask("hello")["ok"]
    deaf.close()


def test_it_starts_with_little(collector, tmp_path):
    """Nothing heavy is imported, and as many files may be open as the system lets it."""
    heavy = "asyncio dataclasses inspect msgspec subprocess threading traceback typing"
    code = f"import sys; sys.path.insert(0, {ROOT!r}); import rookery.logs.collector; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=True, text=True)
    assert not set(heavy.split()) & set(loaded.stdout.split())
    limits = Path(f"/proc/{collector.process.pid}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
    assert soft == hard


@pytest.mark.parametrize(
    "settings", [{"format": {"timestamps": "iso"}}, {"format": {"json": True}}, {"combined": True}]
)
def test_a_write_larger_than_the_pipe_never_gets_stuck_behind_an_unfinished_line(collector, settings, tmp_path):
    """No event tells of a pipe that was filled up in the middle of a write."""
    if "combined" in settings:
        settings = {"combined": str(tmp_path / "all.log")}
    collector.open("1", **settings)
    code = "import os\nfor _ in range(40): os.write(1, (b'.' * 97 + bytes([10])) * 7001)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=collector.fifo("1")) as process:
        assert process.wait(DEADLINE) == 0
    path, *_ = collector.flush("1")
    assert Path(path).read_bytes().count(b"\n") == 40 * 7001
