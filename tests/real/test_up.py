"""``rook up``: apps in the foreground, also as process 1."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager

import pytest

from capabilities import DEADLINE, needs_linux, needs_unshare
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


@contextmanager
def up(rook, *words, before=()):
    """It runs, in a group of its own; its output can be read line by line."""
    command = [*before, os.path.join(rook.environ["PATH"].split(":")[0], "rook"), "up", *map(str, words)]
    pipe = subprocess.PIPE
    options = {"env": rook.environ, "cwd": rook.folder, "start_new_session": True, "text": True}
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
    assert "bad:0 | bad\n" in err


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
        assert said.startswith("two:0 | "), said
        (first,) = kernel.children(process.pid)
        wait_until(lambda: len(kernel.children(first)) == 1, DEADLINE, "the end of the second one")
        os.kill(first, signal.SIGTERM)
        assert end(process)[0] == 4
