"""``rook up`` with apps that share a port: one process owns the socket, and what is under way is answered."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess

import pytest
from clusters import APPS

from capabilities import DEADLINE, needs_node
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = pytest.mark.real

SLOW = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        open("asked", "w").close()
        await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
NODE = "require('http').createServer((request, response) => response.end('ok')).listen(3000);\n"
PROGRAM = """
import os, socket, sys
assert os.environ["LISTEN_PID"] == str(os.getpid())
listening = socket.socket(fileno=int(sys.argv[1]))
while True:
    client, _ = listening.accept()
    with client:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
"""


def asked(path, what="/"):
    """A connection on which the whole of a request has been sent."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % what.encode())
    return client


def answered(client):
    with client:
        told = b""
        while piece := client.recv(4096):
            told += piece
    return told.startswith(b"HTTP/1.1 200") and told.endswith(b"ok")


@contextlib.contextmanager
def up(rook, *words):
    with rook.popen("up", *words, "--bind", "unix:web.sock", start_new_session=True) as process:
        path = rook.folder / "web.sock"

        def listens():
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(OSError):
                return answered(asked(path))

        try:
            wait_until(listens, DEADLINE, "the first answer")
            yield process, path
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=DEADLINE)
                process.kill()


def workers(process, name):
    """Pids of the processes below it that run that program."""
    found, folk = [], [process.pid]
    while folk:
        pid = folk.pop()
        folk += kernel.children(pid)
        if name in kernel.command_line(pid):
            found.append(pid)
    return found


def test_what_is_under_way_is_answered(rook):
    (rook.folder / "shop.py").write_text(SLOW)
    with up(rook, "shop:app", "-i", "2", "--linger", "100ms") as (process, path):
        wait_until(lambda: len(workers(process, "shop:app")) == 2, DEADLINE, "two workers")
        client = asked(path, "/slow")
        wait_until((rook.folder / "asked").exists, DEADLINE, "the request in the app")
        process.send_signal(signal.SIGTERM)
        assert answered(client)
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out, err) == (0, "", "")
    assert not path.exists()
    assert not os.path.exists(rook.home)


def test_connections_are_passed_on(rook):
    (rook.folder / "shop.py").write_text(SLOW)
    with up(rook, "shop:app", "-i", "2", "--balance", "round_robin") as (process, path):
        for _ in range(4):
            assert answered(asked(path))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_worker_that_is_killed_comes_back(rook):
    (rook.folder / "shop.py").write_text(SLOW)
    with up(rook, "shop:app") as (process, path):
        (before,) = workers(process, "shop:app")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: workers(process, "shop:app") not in ([], [before]), DEADLINE, "the next one")
        assert answered(asked(path))


@needs_node
def test_a_node_server(rook):
    (rook.folder / "server.js").write_text(NODE)
    with up(rook, "server.js", "-i", "2") as (process, _):
        assert len(workers(process, str(rook.folder / "server.js"))) == 2


def test_a_program_and_an_app_of_a_file(rook):
    (rook.folder / "prog.py").write_text(PROGRAM)
    (rook.folder / "rook.toml").write_text(
        f'[apps.prog]\ncommand = ["python3", "prog.py", "{{fd}}"]\nbind = "unix:prog.sock"\n'
        f'[apps.web]\napp = "web:app"\ncwd = "{APPS}"\nbind = "unix:web.sock"\nlinger = 0\nkind = "asgi"\n'
    )
    with rook.popen("up", "rook.toml", start_new_session=True) as process:
        try:
            for name in ("prog", "web"):
                wait_until(lambda name=name: (rook.folder / f"{name}.sock").exists(), DEADLINE, name)
            assert answered(asked(rook.folder / "prog.sock"))
            with asked(rook.folder / "web.sock") as client:
                assert client.recv(12) == b"HTTP/1.1 200"
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "web:0  ! shutdown of slot 0\n")  # it says so itself


def test_a_place_that_is_taken_and_an_app_that_is_broken(rook):
    (rook.folder / "broken.py").write_text("raise RuntimeError('no such table')\n")
    for words in (["broken:app", "--bind", "unix:s"], ["broken:app", "--bind", f"unix:{rook.folder}"]):
        with rook.popen("up", *words, "--restart", "never") as process:
            _, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 1
        assert ("no such table" in err) == (words[2] == "unix:s"), err
        assert "rook: " in err
