"""``rook up``: apps in the foreground, also as process 1."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import termios
from contextlib import contextmanager

import pytest

from capabilities import DEADLINE, needs_linux, needs_root, needs_unshare
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

OPTIONS_OF_LINES = ("--logs-prefix", "on")
"""Somebody stands between the app and our output then."""


@contextmanager
def up(rook, *words, before=(), text=True):
    """It runs, in a group of its own; its output can be read line by line."""
    command = [*before, os.path.join(rook.environ["PATH"].split(":")[0], "rook"), "up", *map(str, words)]
    pipe = subprocess.PIPE
    options = {"env": rook.environ, "cwd": rook.folder, "start_new_session": True, "text": text}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def end(process):
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def test_one_app_says_what_it_says_and_gives_its_code(rook):
    script = "echo out; echo err >&2; exit 7"
    with up(rook, "--restart", "never", "--", "/bin/sh", "-c", script) as process:
        code, out, err = end(process)
    assert (code, out) == (7, "out\n")
    assert err.startswith("err\n")
    assert not os.path.exists(rook.home)  # no manager, and nothing for one


def run(command, rook, **options):
    options = {"stderr": subprocess.PIPE, "env": rook.environ, "cwd": rook.folder, "timeout": DEADLINE, **options}
    return subprocess.run(command, check=False, **options)


@pytest.mark.parametrize("closed", ["1>&-", "0<&- 1>&-", "0<&-"])
def test_without_a_stdout_it_runs_all_the_same(rook, tmp_path, closed):
    made = tmp_path / "made"
    rook_up = [os.path.join(rook.environ["PATH"].split(":")[0], "rook"), "up", "--restart", "never", *OPTIONS_OF_LINES]
    words = [*rook_up, "--", "/bin/sh", "-c", f"echo x && echo y > {made}"]
    command = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *words]
    done = run(command, rook)
    assert (done.returncode, done.stderr) == (0, b"")
    assert made.read_text() == "y\n"


def test_a_full_disk_behind_it_is_told_once(rook):
    words = [os.path.join(rook.environ["PATH"].split(":")[0], "rook"), "up", "--restart", "never", *OPTIONS_OF_LINES]
    command = [*words, "--", "/bin/sh", "-c", "echo 1; sleep 0.1; echo 2"]
    with open("/dev/full", "wb") as full:
        done = run(command, rook, stdout=full)
    assert done.returncode == 0
    assert done.stderr == b"rook: the output cannot be written, lines are dropped: No space left on device\n"


def test_it_ends_with_0_when_the_app_is_done(rook):
    with up(rook, "--restart", "on-failure", "--", "/bin/true") as process:
        assert end(process) == (0, "", "")


def test_an_app_that_dies_is_started_again(rook, tmp_path):
    script = f"echo here; test -e {tmp_path}/seen && exit 0; touch {tmp_path}/seen; exit 3"
    with up(rook, "--restart", "on-failure", "--backoff-base", "10ms", "--", "/bin/sh", "-c", script) as process:
        code, out, err = end(process)
    assert (code, out) == (0, "here\nhere\n")
    assert "exited with code 3" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end(rook, number):
    with up(rook, rook.programs / "count_lines.py") as process:
        assert process.stdout.readline() == "0\n"
        process.send_signal(number)
        code, out, _ = end(process)
    *numbers, last = out.splitlines()
    assert code == 0
    assert last == f"all {len(numbers) + 1}"  # it could end as it likes to


def test_asked_twice(rook):
    with up(rook, rook.programs / "stubborn.py", "--graceful-timeout", "1h") as process:
        assert process.stdout.readline() == "ready\n"
        (app,) = kernel.children(process.pid)
        for number in (signal.SIGINT, signal.SIGINT):
            process.send_signal(number)
            if process.stdout.readline() != "told\n":
                break
        assert end(process)[0] == 130
    assert not kernel.is_alive(app)


def config(folder, **commands):
    """A rook.toml with these apps."""
    text = "".join(f'[apps.{name}]\ncommand = {command!r}\nrestart = "never"\n' for name, command in commands.items())
    (folder / "rook.toml").write_text(text)


def test_several_apps_have_prefixes_and_the_failing_one_gives_the_code(rook, tmp_path):
    config(tmp_path, good=["/bin/sh", "-c", "echo one; echo two"], bad=["/bin/sh", "-c", "echo bad >&2; exit 5"])
    with up(rook) as process:
        code, out, err = end(process)
    assert (code, out) == (5, "good:0 | one\ngood:0 | two\n")
    assert "bad:0  ! bad\n" in err


@pytest.mark.parametrize("words", [["--", "/no/such/program"], ["no-such-script.py"]])
def test_a_command_that_cannot_be_run(rook, words):
    with up(rook, *words) as process:
        code, out, err = end(process)
    assert (code, out) == (2, "")
    assert words[-1] in err
    assert "Traceback" not in err


def test_a_command_that_turns_out_not_to_run(rook, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with up(rook, "--", program) as process:
        code, out, err = end(process)
    assert (code, out) == (1, "")
    assert "names an interpreter that is not there" in err
    assert "Traceback" not in err


UNSHARE = ("unshare", "-fp", "--mount-proc", "--kill-child")


@needs_unshare
def test_process_1_reaps_orphans_and_ends_with_the_apps_code(rook):
    with up(rook, rook.programs / "orphans.py", "--", 1, before=UNSHARE) as process:
        assert process.stdout.readline() == "reaped, below 1\n"
        (first,) = kernel.children(process.pid)
        os.kill(first, signal.SIGTERM)
        assert end(process)[0] == 7


@needs_unshare
def test_process_1_with_several_apps(rook, tmp_path):
    config(tmp_path, one=["/bin/sh", "-c", "echo here; exec sleep 1000"], two=["/bin/sh", "-c", "echo $$ >&2; exit 4"])
    with up(rook, before=UNSHARE) as process:
        assert process.stdout.readline() == "one:0 | here\n"
        said = process.stderr.readline()
        assert said.startswith("two:0 ! "), said
        (first,) = kernel.children(process.pid)
        wait_until(lambda: len(kernel.children(first)) == 1, DEADLINE, "the end of the second one")
        os.kill(first, signal.SIGTERM)
        assert end(process)[0] == 4


# -- how output looks --------------------------------------------------------------------------------------------------


def two_apps(folder, **logs):
    """Two that say one word each on both streams."""
    text = "".join(f"{key} = {value}\n" for key, value in logs.items())
    text = f"[defaults.logs]\n{text}\n"
    for name in ("a", "longer"):
        script = f"echo {name} out; echo {name} err >&2"
        text += f'[apps.{name}]\ncommand = ["/bin/sh", "-c", "{script}"]\nrestart = "never"\n'
    (folder / "rook.toml").write_text(text)


def ran(rook, *words):
    with up(rook, *words) as process:
        code, out, err = end(process)
    assert code == 0, err
    return sorted(out.splitlines()), sorted(err.splitlines())


def test_prefixes_are_equally_wide_and_tell_stderr(rook, tmp_path):
    two_apps(tmp_path)
    out, err = ran(rook)
    assert out == ["a:0      | a out", "longer:0 | longer out"]
    assert err == ["a:0      ! a err", "longer:0 ! longer err"]


def test_without_prefix(rook, tmp_path):
    two_apps(tmp_path)
    assert ran(rook, "--no-prefix") == (["a out", "longer out"], ["a err", "longer err"])


def test_in_colours(rook, tmp_path):
    two_apps(tmp_path)
    out, err = ran(rook, "--color", "always")
    assert out == ["\x1b[0;33mlonger:0 | \x1b[0mlonger out", "\x1b[0;36ma:0      | \x1b[0ma out"]
    assert err == ["\x1b[0;33mlonger:0 ! \x1b[0mlonger err", "\x1b[0;36ma:0      ! \x1b[0ma err"]


def test_times_and_objects_are_made_here_too(rook, tmp_path):
    two_apps(tmp_path, timestamps='"[at] YYYY"', prefix="true", via='"stdout"')
    out, _ = ran(rook)
    assert [re.sub(r"\d{4}", "Y", line) for line in out] == ["a:0      | at Y a out", "longer:0 | at Y longer out"]
    out, _ = ran(rook, "--no-prefix")
    assert [re.sub(r"\d{4}", "Y", line) for line in out] == ["at Y a:0 | a out", "at Y longer:0 | longer out"]
    two_apps(tmp_path, json="true")
    out, err = ran(rook)
    found = [json.loads(line) for line in (*out, *err)]
    said = {(one["app"], one["instance"], one["stream"], one["message"]) for one in found}
    assert said == {(name, 0, stream, f"{name} {stream}") for name in ("a", "longer") for stream in ("out", "err")}


def test_an_app_that_is_alone_gets_times_too(rook):
    options = ("--logs-timestamps", "[now]YYYY", "--restart", "never")
    out, err = ran(rook, *options, "--", "/bin/sh", "-c", "echo one; echo two >&2; printf three")
    assert [re.sub(r"\d{4}", "", line) for line in (*out, *err)] == ["now one", "now three", "now two"]


SAYS_MUCH = """
import os, sys
write = lambda data: sys.stdout.buffer.write(data)
for number in range(400_000):
    write(b"%d\\n" % number)
write(b"\\xff\\xfe" * 25_000_000 + b"\\n")
write(b"the end")
sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_writer_at_full_speed_and_a_slow_reader(rook, tmp_path, is_alone):
    """400,000 lines, one of 50 MB that is no UTF-8, and a reader who begins late: every byte, also after the end."""
    (tmp_path / "much.py").write_text(SAYS_MUCH)
    apps = {"much": [sys.executable, "much.py"], "other": ["/bin/sh", "-c", "echo other"]}
    config(tmp_path, **apps)
    only = ("rook.toml", "--only", "much") if is_alone else ()
    with up(rook, *only, text=False) as process:
        wait_until(lambda: waiting_in(process.stdout.fileno()) > 32_000, DEADLINE, "a full pipe")
        digest, others = hashlib.sha256(), 0
        for line in process.stdout:
            if line == b"other:0 | other\n":
                others += 1
            else:
                digest.update(line if is_alone else line.removeprefix(b"much:0  | "))
        if is_alone:
            digest.update(b"\n")  # as it is: without an end
        assert process.wait(DEADLINE) == 0
    expected = hashlib.sha256(b"".join(b"%d\n" % number for number in range(400_000)))
    expected.update(b"\xff\xfe" * 25_000_000 + b"\nthe end\n")
    assert (digest.digest(), others) == (expected.digest(), 0 if is_alone else 1)


def waiting_in(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


@needs_root
@pytest.mark.parametrize("instances", [1, 2])
def test_another_user_may_open_stdout_anew(rook, instances):
    script = "echo one > /dev/stdout; echo two | tee /dev/stderr; echo three > /dev/stderr"
    options = ("--user", "nobody", "--restart", "never", "-i", instances, "--no-prefix")
    out, err = ran(rook, *options, "--cwd", "/", "--", "/bin/sh", "-c", script)
    assert (out, err) == (["one"] * instances + ["two"] * instances, ["three"] * instances + ["two"] * instances)


READ_ONLY = 'mount -o remount,ro,bind / && ! touch x 2>/dev/null && exec "$@"'


@needs_unshare
def test_process_1_writes_nothing_to_disk(rook, tmp_path):
    """The whole tree is mounted for reading only; two apps, formats, prefixes, and a restart."""
    config(tmp_path, one=["/bin/sh", "-c", "echo here; exit 0"], two=["/bin/sh", "-c", "echo there; exit 3"])
    text = (tmp_path / "rook.toml").read_text()
    (tmp_path / "rook.toml").write_text(f"[defaults.logs]\njson = true\n{text}")
    before = ("unshare", "-fpm", "--mount-proc", "--kill-child", "sh", "-c", READ_ONLY, "sh")
    with up(rook, before=before) as process:
        code, out, err = end(process)
    assert sorted(json.loads(line)["message"] for line in out.splitlines()) == ["here", "there"], err
    assert code == 3
    assert sorted(os.listdir(tmp_path)) == ["rook.toml"]
