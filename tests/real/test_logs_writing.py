"""Output on its way into files, with real apps: all of it, whoever writes it and however short it lives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux, needs_root
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

LINE = 100


def log_folder(rook):
    return Path(rook.home, "logs")


def whole(rook, name, most):
    """Everything that a log holds, the oldest file first."""
    files = [log_folder(rook) / f"{name}.{number}" for number in range(most, 0, -1)] + [log_folder(rook) / name]
    return b"".join(file.read_bytes() for file in files if file.exists())


# -- through the collector ---------------------------------------------------------------------------------------------

REDIRECTS = """
for n in 0 1 2 3 4 5 6 7 8 9; do
    echo "a$n"
    echo "b$n" > /dev/stderr
    echo "c$n" | tee /dev/stderr
    echo "d$n" >> /dev/stdout
    echo "e$n" >&2
done
"""


@pytest.mark.parametrize("user", ["", pytest.param("nobody", marks=needs_root)])
def test_a_script_that_opens_its_output_anew_loses_no_line(rook, user):
    options = ("--user", user) if user else ()
    options = (*options, "--cwd", "/", "--restart", "never", "--wait", "none", "--name", "sh")
    rook.ok("start", *options, "--", "/bin/sh", "-c", REDIRECTS)
    rook.wait_for("sh", state="exited")
    assert rook.log("sh") == [f"{letter}{n}" for n in range(10) for letter in "acd"]
    assert rook.log("sh", "err") == [f"{letter}{n}" for n in range(10) for letter in "bce"]


def test_20_mb_before_an_end_at_once(rook):
    rook.start("says_much.py", "much", 200_000, wait="none", options=("--restart", "never", "--logs-max-size", "8M"))
    rook.wait_for("much", state="exited")
    assert whole(rook, "much-0.out.log", 7) == b"".join(b"%099d\n" % n for n in range(200_000)) + b"END\n"


def test_40_copies_that_end_at_once_have_said_all_of_their_20_mb(rook):
    """Each copy looks at the log of the one before; it finds 20 MB, neither more nor less, 40 times in a row."""
    runs = 40
    options = ("--restart", "always", "--min-uptime", "0", "--backoff-base", "0", "--backoff-cap", "0")
    log = log_folder(rook) / "huge-0.out.log"
    options = (*options, "--logs-max-size", 20_000_000, "--logs-keep", 0)
    rook.start("says_all.py", "huge", log, wait="none", options=options)
    wait_until(lambda: rook.row("huge")["restarts"] >= runs, DEADLINE * 2, f"{runs} restarts")
    rook.ok("stop", "huge")
    assert rook.log("huge", "err") == []


def test_lines_are_made_as_they_are_wanted(rook):
    script = "echo one; echo two >&2"
    options = ("--restart", "never", "--wait", "none", "--logs-timestamps", "[at] YYYY", "--logs-prefix", "on")
    rook.ok("start", "--name", "a", *options, "--logs-combined", "on", "--", "/bin/sh", "-c", script)
    rook.wait_for("a", state="exited")
    (out,), (err,) = rook.log("a"), rook.log("a", "err")
    assert (out[:3], out[7:]) == ("at ", " a:0 | one")
    assert (err[:3], err[7:]) == ("at ", " a:0 | two")
    combined = (log_folder(rook) / "a.combined.log").read_text().splitlines()
    assert sorted(combined) == sorted([out, err])


def test_a_manager_has_no_stdout_to_show_output_on(rook):
    ran = rook("start", "--logs-via", "stdout", "--", "/bin/sh", "-c", "echo x")
    assert ran.code == 2
    assert "rook up" in ran.err


# -- written by the app itself -----------------------------------------------------------------------------------------


def test_direct_through_every_death(rook):
    """The app has its files open: whoever dies, it goes on, and its next copy is found by the manager of then."""
    options = ("--logs-via", "direct")
    row = rook.start("count_lines.py", "count", options=options)
    out = log_folder(rook) / "count-0.out.log"
    assert os.path.samefile(f"/proc/{row['pid']}/fd/1", out)
    for who in ("pid", "collector_pid", "keeper_pid"):
        ping = rook.ping()
        rook.kill(ping[who])
        rook.next_manager(0 if who == "collector_pid" else ping["pid"])
        wait_until(lambda: rook.rows("count"), DEADLINE, "the app in the list again")
        seen = len(rook.log("count"))
        wait_until(lambda seen=seen: len(rook.log("count")) > seen + 1, DEADLINE, "more lines")
        assert rook.row("count")["pid"] == row["pid"]
    rook.ok("stop", "count")
    lines = rook.log("count")
    assert lines == [*map(str, range(len(lines) - 1)), f"all {len(lines) - 1}"]
    assert rook.ok("logs", "count", "--lines", "1").splitlines()[-1].endswith(lines[-1])


def test_direct_tells_the_last_words_of_this_copy_only(rook):
    script = "test -e seen && { echo second >&2; exit 4; }; touch seen; echo first >&2; exit 3"
    options = ("--logs-via", "direct", "--restart", "never", "--wait", "none")
    for words in (["first"], ["second"]):
        rook.ok("start", "--name", "a", *options, "--", "/bin/sh", "-c", script)
        wait_until(lambda words=words: (rook.row("a")["exit"] or {}).get("stderr") == words, DEADLINE, f"{words}")


def test_direct_rotates_between_copies_and_is_emptied_in_place(rook):
    options = ("--logs-via", "direct", "--logs-max-size", "1K", "--logs-keep", "2")
    rook.start("idle.sh", "idle", options=options)
    out = log_folder(rook) / "idle-0.out.log"
    with open(out, "a") as file:
        file.write("x" * 2000)
    rook.ok("restart", "idle")
    assert (log_folder(rook) / "idle-0.out.log.1").stat().st_size >= 2000
    assert out.stat().st_size < 1000
    fd = f"/proc/{rook.row('idle')['pid']}/fd/1"
    assert os.path.samefile(fd, out)
    rook.ok("flush", "idle")
    assert os.path.samefile(fd, out)
    assert out.stat().st_size == 0
    assert not (log_folder(rook) / "idle-0.out.log.1").exists()


@needs_root
def test_direct_as_another_user(rook):
    script = "echo one > /dev/stdout; echo two >> /dev/stderr; exec sleep 1000"
    options = ("--user", "nobody", "--cwd", "/", "--logs-via", "direct")
    rook.ok("start", "--name", "a", *options, "--", "/bin/sh", "-c", script)
    wait_until(lambda: rook.log("a", "err") == ["two"], DEADLINE, "its word on stderr")
    assert rook.log("a") == ["one"]
    assert (log_folder(rook) / "a-0.out.log").stat().st_uid == 65534
    assert kernel.command_line(rook.row("a")["pid"])[0] == "sleep"
