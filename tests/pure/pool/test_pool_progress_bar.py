from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading

import pytest

from rookery.pool.progress_bar import ProgressBar, numbers, pace


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True

    @property
    def text(self):
        """What was drawn, without what moves and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture(autouse=True)
def _a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_a_line_now_and_then_where_there_is_no_terminal():
    clock, stream = Clock(), io.StringIO()
    with ProgressBar("resize", total=200, stream=stream, clock=clock) as bar:
        for done in range(1, 101):
            clock.now += 0.1
            bar.update(done - done // 50, failed=done // 50)
    assert stream.getvalue().splitlines() == [
        "resize: 50/200 (25%), 1 failed, 10/s, 15s left",
        "resize: 100/200 (50%), 2 failed, 10/s, 10s left",
    ]  # the end has nothing to add


def test_the_last_state_is_always_told():
    clock, stream = Clock(), io.StringIO()
    with ProgressBar(total=3, stream=stream, clock=clock) as bar:
        clock.now += 2
        bar.update(3)
    bar.update(4)
    bar.close()
    assert stream.getvalue() == "tasks: 3/3 (100%), 1.5/s, 2s\n"


def test_an_exception_ends_it_where_it_is():
    stream = io.StringIO()

    def fails():
        with ProgressBar(total=3, stream=stream, clock=Clock()) as bar:
            bar.update(1, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert stream.getvalue() == "tasks: 2/3 (66%), 1 failed, 0ms\n"


def test_the_total_of_a_generator_is_known_at_its_end():
    clock, stream = Clock(), io.StringIO()
    with ProgressBar(stream=stream, clock=clock, every=1.0) as bar:
        clock.now += 1
        bar.update(10)
        clock.now += 1
        bar.update(20, total=40)
    assert stream.getvalue().splitlines() == ["tasks: 10, 10/s, 1s", "tasks: 20/40 (50%), 10/s, 2s left"]


def test_a_bar_on_a_terminal():
    pytest.importorskip("rich")
    clock, stream = Clock(), Terminal()
    with ProgressBar("[red]resize", total=200, stream=stream, clock=clock) as bar:
        for done in range(1, 101):
            clock.now += 0.02
            bar.update(done - 1, failed=1)
    drawn = re.split(r"[\r\n]+", stream.text)
    assert "0/200 (0%), 0ms" in stream.text
    assert "100/200 (50%), 1 failed, 50/s, 2s left" in drawn[-2]
    assert drawn[-2].startswith("[red]resize ")  # no markup
    assert drawn[-1] == ""
    assert 15 < stream.text.count("resize") < 30  # not every task is drawn
    assert stream.getvalue().endswith("\x1b[?25h")  # the cursor is shown again


def test_a_bar_without_a_total():
    pytest.importorskip("rich")
    clock, stream = Clock(), Terminal()
    with ProgressBar(stream=stream, clock=clock) as bar:
        clock.now += 1
        bar.update(7)
    assert "7, 7.0/s, 1s" in stream.text


@pytest.mark.parametrize("term", ["dumb", ""])
def test_lines_on_a_terminal_that_cannot_move(term, monkeypatch):
    monkeypatch.setenv("TERM", term)
    stream = Terminal()
    with ProgressBar(total=1, stream=stream, clock=Clock()) as bar:
        bar.update(1)
    assert stream.getvalue() == "tasks: 1/1 (100%), 0ms\n"


def test_lines_where_rich_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    stream = Terminal()
    with ProgressBar(total=1, stream=stream, clock=Clock()) as bar:
        bar.update(1)
    assert stream.getvalue() == "tasks: 1/1 (100%), 0ms\n"


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
@pytest.mark.parametrize("when", ["before", "between", "end"])
def test_a_stream_that_goes_away_disturbs_nothing(kind, when):
    stream, clock = kind(), Clock()
    if when == "before":
        stream.close()
    with ProgressBar(total=9, stream=stream, clock=clock) as bar:
        if when == "between":
            stream.close()
        for done in range(10):
            clock.now += 10
            bar.update(done)
        stream.close()


def test_a_program_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressBar(total=1) as bar:
        bar.update(1)


def test_many_threads_update_it():
    stream = io.StringIO()
    with ProgressBar(total=1000, stream=stream, every=0.0) as bar:
        threads = [threading.Thread(target=lambda: [bar.update(one) for one in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bar.update(1000)
    lines = stream.getvalue().splitlines()
    assert all(line.startswith("tasks: ") and line.count("tasks") == 1 for line in lines)
    assert lines[-1].startswith("tasks: 1000/1000 (100%), ")


PROGRAM = """
import sys
from rookery.pool.progress_bar import ProgressBar
assert not [name for name in sys.modules if name.split(".")[0] == "rich"], "rich is imported too early"
with ProgressBar(total=3, every=0.0) as bar:
    for done in range(1, 4):
        bar.update(done)
        print("result", done, flush=True)
"""


@pytest.mark.parametrize("terminal", [True, False])
def test_stdout_is_left_alone(terminal):
    """A real process, for rich takes over sys.stdout unless it is told not to."""
    ours, theirs = os.openpty() if terminal else os.pipe()
    try:
        done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, check=True)
        told = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b"result 1\nresult 2\nresult 3\n"
    assert "3/3 (100%)" in told
    assert "result" not in told


@pytest.mark.parametrize(
    ("done", "failed", "total", "told"),
    [
        (0, 0, None, "0"),
        (5, 1, None, "5, 1 failed"),
        (0, 0, 0, "0/0"),
        (999, 0, 1000, "999/1000 (99%)"),
        (1000, 0, 1000, "1000/1000 (100%)"),
    ],
)
def test_numbers(done, failed, total, told):
    assert numbers(done, failed, total) == told


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (0, 10, 5.0, "5s"),
        (5, 10, 0.0, "0ms"),
        (5, 10, 5.0, "1.0/s, 5s left"),
        (10, 10, 5.0, "2.0/s, 5s"),
        (12, 10, 5.0, "2.4/s, 5s"),
        (1000, None, 2.0, "500/s, 2s"),
        (1, 100, 60.0, "1.0/min, 1h39m left"),
    ],
)
def test_pace(done, total, seconds, told):
    assert pace(done, total, seconds) == told
