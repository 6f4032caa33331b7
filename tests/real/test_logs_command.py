"""``rook logs`` against a real manager: each option once, and following through all that may happen meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux, needs_root
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

ECHO = """
import sys
for line in sys.stdin:
    if line.startswith("many "):
        for number in range(int(line.split()[1])):
            print("%d %s" % (number, "x" * 90))
        print("done", flush=True)
    else:
        print(line, end="", flush=True, file=sys.stderr if "ERROR" in line else sys.stdout)
"""


@pytest.fixture
def echo(rook):
    """Start apps that say what they are sent, and wait until it is in their log."""

    def start(name, *options):
        program = rook.folder / "echo.py"
        program.write_text(ECHO)
        rook.ok("start", program, "--name", name, "--stdin", "pipe", "--wait", "started", *options)

    return start


def say(rook, name, text):
    rook.ok("send", name, text)

    def is_there():
        return any(text in rook.log(name, stream) for stream in ("out", "err"))

    wait_until(is_there, DEADLINE, f"{text!r} in the log of {name}")


@contextmanager
def following(rook, *options, **more):
    """rook logs -f, its output in a file that the function tells the lines of."""
    out = rook.folder / "followed"
    with open(out, "wb") as file, rook.popen("logs", "-f", *options, stdout=file, **more) as process:
        try:
            yield process, lambda: out.read_text().splitlines()
        finally:
            if process.poll() is None:
                process.kill()


def test_each_option(rook, echo):
    echo("web")
    echo("job")
    say(rook, "web", "one")
    time.sleep(0.6)  # as far apart as the index can tell
    between = time.time()
    say(rook, "job", "two")
    say(rook, "web", "ERROR three")
    assert rook.ok("logs", "web", "--out") == "one\n"
    assert rook.ok("logs", "--no-prefix", "-n", "1").splitlines() == ["one", "two", "ERROR three"]
    assert rook.ok("logs").splitlines() == ["web:0 | one", "job:0 | two", "web:0 ! ERROR three"]
    assert rook.ok("logs", "--since", f"@{between}", "--no-prefix").splitlines() == ["two", "ERROR three"]
    assert rook.ok("logs", "--until", f"@{between - 0.3}", "--no-prefix") == "one\n"
    assert rook.ok("logs", "--since", "10m", "--grep", "^t", "--no-prefix") == "two\n"
    assert rook.ok("logs", "--level", "error") == "web:0 ! ERROR three\n"
    first = json.loads(rook.ok("logs", "web", "--json", "--out"))
    assert {key: first[key] for key in ("app", "instance", "stream", "level", "message")} == {
        "app": "web",
        "instance": 0,
        "stream": "out",
        "level": "info",
        "message": "one",
    }
    assert first["time"] in rook.ok("logs", "web", "--out", "--time")
    assert rook("logs", "nobody").code == 3


def test_no_lines_are_none(rook):
    program = rook.folder / "prompt.py"
    program.write_text("import time\nprint('one\\nname? ', end='', flush=True)\ntime.sleep(1000)")
    rook.ok("start", program, "--name", "web", "--wait", "started")
    wait_until(lambda: "name? " in rook.log("web", "out"), DEADLINE, "the prompt in the log")
    assert rook.ok("logs", "web", "-n", "0") == ""
    assert rook.ok("logs", "web", "-n", "1") == "name? \n"


def test_json_and_combined_files(rook, echo):
    echo("web", "--logs-json", "on", "--logs-combined", "on")
    rook.ok("send", "web", "one")
    rook.ok("send", "web", "ERROR two")

    def combined():
        return [json.loads(line) for line in rook.ok("logs", "--combined", "--json").splitlines()]

    lines = wait_until(lambda: len(found := combined()) == 2 and found, DEADLINE, "both lines")
    assert [(line["message"], line["stream"], line["level"], line["instance"]) for line in lines] == [
        ("one", "out", "info", 0),
        ("ERROR two", "err", "error", 0),
    ]


def test_following_through_rotation_and_a_killed_manager(rook, echo):
    echo("web", "--logs-max-size", "20K", "--logs-keep", "200", "--logs-compress", "on")
    with following(rook, "web", "-n", "1", "--out") as (process, lines):
        rook.ok("send", "web", "begin")
        wait_until(lambda: lines() == ["begin"], DEADLINE, "the first line")
        rook.ok("send", "web", "many 20000")
        old = rook.kill_manager()
        wait_until(lambda: lines()[-1] == "done", DEADLINE, "all lines")
        assert [int(line.split()[0]) for line in lines()[1:-1]] == list(range(20000))
        rook.next_manager(old)
        say(rook, "web", "end")
        wait_until(lambda: lines()[-1] == "end", DEADLINE, "what came after the next manager")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert process.stderr.read() == ""


def test_a_cursor_over_rotation(rook, echo):
    echo("web", "--logs-max-size", "20K", "--logs-keep", "200", "--logs-compress", "on")
    cursor = rook.folder / "cursor"
    seen = rook.ok("logs", "--out", "--cursor-file", cursor).splitlines()
    rook.ok("send", "web", "many 20000")

    def read():
        seen.extend(rook.ok("logs", "--out", "--cursor-file", cursor).splitlines())
        return seen and seen[-1] == "done"

    wait_until(read, DEADLINE, "all lines")
    assert [int(line.split()[0]) for line in seen[:-1]] == list(range(20000))
    assert rook.ok("logs", "--out", "--cursor-file", cursor) == ""


def test_a_new_app_is_followed_and_a_deleted_one_ends(rook, echo):
    echo("web")
    with following(rook, "/web|late/") as (process, lines):
        say(rook, "web", "one")
        wait_until(lambda: "one" in lines(), DEADLINE, "the first line")
        echo("late")
        say(rook, "late", "two")
        wait_until(lambda: "late:0 | two" in lines(), DEADLINE, "a line of the new app")
        rook.ok("delete", "web", "late")
        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == ""


def test_flushing_while_following(rook, echo):
    echo("web")
    say(rook, "web", "old")
    with following(rook, "-n", "5") as (_, lines):
        wait_until(lambda: lines() == ["old"], DEADLINE, "what was there")
        rook.ok("flush", "web")
        say(rook, "web", "new")
        wait_until(lambda: lines() == ["old", "new"], DEADLINE, "what came after the flush")


def test_a_reader_that_has_seen_enough(rook, echo):
    echo("web")
    rook.ok("send", "web", "many 5000")
    wait_until(lambda: "done" in rook.log("web"), DEADLINE, "all lines")
    command = f"{shutil.which('rook', path=rook.environ['PATH'])} logs -f -n 5000 | head -n 3"
    environ = {**rook.environ, "BASH_ENV": ""}
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (ran.returncode, len(ran.stdout.splitlines()), ran.stderr) == (0, 3, "")


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
class TestWhoMayNotReadTheFiles:
    """Root without the right to pass over modes is refused like any other user; the manager reads for it."""

    @pytest.fixture
    def refused(self, rook):
        command = [
            *("setpriv", "--bounding-set=-dac_override,-dac_read_search"),
            shutil.which("rook", path=rook.environ["PATH"]),
        ]

        def popen(*args, **options):
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
            return subprocess.Popen([*command, *map(str, args)], env=rook.environ, cwd=rook.folder, **options)

        return popen

    def forbid(self, rook):
        for file in Path(rook.home, "logs").iterdir():
            file.chmod(0)

    def out_of(self, process):
        with process:
            out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, err) == (0, "")
        return out

    def test_the_output_is_the_same(self, rook, echo, refused):
        echo("web")
        echo("job")
        for name, text in (("web", "one"), ("job", "two grüße"), ("web", "ERROR three"), ("web", "four")):
            say(rook, name, text)
        self.forbid(rook)
        for options in (
            (),
            ("-n", "1"),
            ("--time",),
            ("--json",),
            ("--grep", "o", "-n", "2"),
            ("--level", "error"),
            ("--err",),
        ):
            assert self.out_of(refused("logs", *options)) == rook.ok("logs", *options), options

    def test_following_and_a_cursor(self, rook, echo, refused):
        echo("web")
        say(rook, "web", "one")
        self.forbid(rook)
        cursor, out = rook.folder / "cursor", rook.folder / "out"
        assert self.out_of(refused("logs", "--cursor-file", cursor)) == "one\n"
        assert self.out_of(refused("logs", "--cursor-file", cursor)) == ""
        with open(out, "w") as file, refused("logs", "-f", "-n", "5", stdout=file) as process:
            wait_until(lambda: out.read_text() == "one\n", DEADLINE, "the history")
            old = rook.ping()["pid"]
            rook.ok("upgrade")
            assert rook.ping()["pid"] != old
            rook.ok("send", "web", "two")
            wait_until(lambda: out.read_text() == "one\ntwo\n", DEADLINE, "what came after the change of managers")
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 130
        assert self.out_of(refused("logs", "--cursor-file", cursor)) == "two\n"
