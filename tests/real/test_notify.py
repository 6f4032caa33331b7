"""Apps that say when they are ready (sd_notify)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from capabilities import COMMON_PYTHON, DEADLINE, NOBODY, needs_common_python, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


@pytest.fixture
def app(rook, tmp_path):
    """An app that says that it is ready once the file ``go`` is there; ``rook start`` still waits for it."""
    command = ("start", rook.programs / "says_ready.py", "--name", "app", "--readiness-notify", "on")
    with rook.popen(*command, "--", tmp_path / "go") as starting:
        wait_until(lambda: rook.ping() and rook.rows("app"), DEADLINE, "the app")
        rook.wait_for("app", state="running", ready=False)
        assert starting.poll() is None
        yield starting
        (tmp_path / "go").touch()
        starting.communicate(timeout=DEADLINE)


def details(rook):
    (one,) = rook.get("/v1/details?select=app")
    return one


def test_start_returns_when_it_is_ready(rook, tmp_path, app):
    (tmp_path / "go").touch()
    _, err = app.communicate(timeout=DEADLINE)
    assert app.returncode == 0, err
    assert rook.row("app")["ready"]
    assert details(rook)["status"] == "at work"
    rook.next_manager(rook.kill_manager())
    assert rook.row("app")["ready"]
    old = rook.ping()
    rook.kill(old["keeper_pid"], signal.SIGSTOP)  # it would start the next manager at once
    for pid in (old["pid"], old["keeper_pid"]):
        rook.kill(pid)
    assert [row["ready"] for row in rook.json("list")] == [True]


def test_the_wait_has_a_limit(rook, tmp_path):
    program = rook.programs / "says_ready.py"
    ran = rook("start", program, "--name", "app", "--readiness-notify", "on", "--timeout", "1", "--", tmp_path / "go")
    assert ran.code == 5, ran
    assert "ready" in ran.out + ran.err
    row = rook.row("app")
    assert (row["state"], row["ready"]) == ("running", False)


@pytest.mark.parametrize("killed", ["pid", "keeper_pid"])
def test_said_while_no_manager_lives(rook, tmp_path, app, killed):
    """The manager is stopped, so that it cannot hear, then killed; the word waits in the socket."""
    old = rook.ping()
    row = rook.row("app")
    rook.kill(old["pid"], signal.SIGSTOP)
    (tmp_path / "go").touch()
    wait_until(lambda: rook.log("app") == ["said"], DEADLINE, "the word")
    rook.kill(old[killed])
    if killed == "keeper_pid":
        rook.kill(old["pid"], signal.SIGCONT)  # it may hear it now, or hand it over unheard
    rook.next_manager(old["pid"])
    assert rook.wait_for("app", ready=True)["pid"] == row["pid"]


def test_said_after_keeper_and_manager_were_killed(rook, tmp_path, app):
    """Its socket went with them; the next ones listen at the same place."""
    old, pid = rook.ping(), rook.row("app")["pid"]
    rook.kill(old["keeper_pid"], signal.SIGSTOP)  # it would start the next manager at once
    for name in ("pid", "keeper_pid"):
        rook.kill(old[name])
    app.communicate(timeout=DEADLINE)
    assert [(row["pid"], row["ready"]) for row in rook.json("list")] == [(pid, False)]
    (tmp_path / "go").touch()
    assert rook.wait_for("app", ready=True)["pid"] == pid


@needs_common_python
def test_what_a_foreign_user_says_counts_for_nothing(rook, tmp_path, app):
    address = kernel.environ_value(rook.row("app")["pid"], "NOTIFY_SOCKET")
    os.chmod(address, 0o666)  # it could not even reach it otherwise
    words = "STATUS=foreign\nREADY=1"
    code = "import sys, socket as s; s.socket(s.AF_UNIX, s.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])"
    subprocess.run([COMMON_PYTHON, "-c", code, address, words], cwd="/", env={}, check=True, **NOBODY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
        speaking.sendto(b"HELLO=1\nMAINPID=1", address)  # the same socket: it is heard after the other one
        speaking.sendto(b"STATUS=ours", address)
    wait_until(lambda: details(rook)["status"] == "ours", DEADLINE, "our own word")
    assert not rook.row("app")["ready"]
    assert app.poll() is None


@needs_common_python
def test_an_app_of_another_user_can_say_it(rook):
    code = (
        "import os,signal,socket; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);"
        "s.sendto(b'READY=1',os.environ['NOTIFY_SOCKET']); signal.pause()"
    )
    options = ["--name", "app", "--user", "nobody", "--readiness-notify", "on", "--cwd", "/"]
    rook.ok("start", *options, "--", COMMON_PYTHON, "-c", code)
    assert rook.row("app")["ready"]
