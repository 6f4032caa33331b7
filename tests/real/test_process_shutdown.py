"""The server of the guide: it leaves in order, is forced, and is stopped by its limit."""

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rookery import on_exit, on_signal
from rookery.testing import wait_until

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "servers" / "leaves_in_order.py"
LEAVES = Path(__file__).parent / "programs" / "leaves.py"


class Serving:
    def __init__(self, limit):
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLE], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "SHUTDOWN_LIMIT": str(limit)},
        )  # fmt: skip
        self.port = int(self.line().split()[-1])

    def line(self):
        return self.process.stdout.readline().strip()

    def ask(self, path):
        """Begin a request; the connection, once the server has begun to answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        assert self.line() == f"answering {path}"
        return connection

    def end(self):
        return self.process.wait(20), self.process.stdout.read().splitlines()


@pytest.fixture
def serve():
    made = []

    def make(limit=20):
        made.append(Serving(limit))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait(20)
        one.process.stdout.close()


def test_a_request_that_is_being_answered_is_not_lost(serve):
    server = serve()
    kept = server.ask("/")
    assert kept.getresponse().read() == b"hello\n"
    slow = server.ask("/slow")
    server.process.send_signal(signal.SIGTERM)
    assert server.line() == "takes no more"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=20)
    assert kept.sock.recv(1) == b""  # nothing was asked on it
    response = slow.getresponse()
    assert (response.status, response.getheader("Connection"), response.read()) == (200, "close", b"hello\n")
    assert server.end() == (0, ["all is answered", "the database is closed"])
    kept.close()
    slow.close()


def test_a_second_signal_forces(serve):
    server = serve()
    endless = server.ask("/endless")
    server.process.send_signal(signal.SIGTERM)
    assert server.line() == "takes no more"
    server.process.send_signal(signal.SIGINT)
    assert server.end() == (1, [])
    endless.close()


def test_the_limit_ends_what_does_not_end(serve):
    server = serve(limit=0.3)
    endless = server.ask("/endless")
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == (1, ["takes no more"])
    endless.close()


def test_the_guide_shows_what_is_in_the_example():
    guide = (ROOT / "docs" / "guides" / "graceful-shutdown.md").read_text()
    example = EXAMPLE.read_text()
    (shown,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for line in shown.splitlines()]
    names = [line for line in lines if line.startswith(("shutdown.", "@shutdown", "def ", "server ="))]
    assert len(names) == 5
    assert all(line in example for line in names)
    for page in ("README.md", "docs/reference/process.md"):
        assert "guides/graceful-shutdown.md" in (ROOT / page).read_text()


def leave(kind, *signals):
    with subprocess.Popen([sys.executable, LEAVES, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        for number in signals:
            process.send_signal(number)
            if len(signals) > 1:
                time.sleep(0.05)  # two that come at once are one
        said, logged = process.stdout.read().decode().split("\n")[:-1], process.stderr.read().decode()
        return process.wait(20), said, logged


def test_a_program_that_blocks_the_event_loop_is_ended_by_the_limit():
    code, said, logged = leave("blocked late", signal.SIGTERM)
    assert (code, said) == (1, [])
    assert "not done with leaving after 0.3 s" in logged


def test_a_program_that_blocks_the_event_loop_is_forced_by_a_second_signal():
    code, said, logged = leave("blocked", signal.SIGTERM, signal.SIGTERM)
    assert (code, said) == (1, [])
    assert "SIGTERM again" in logged


STEPS = ["stop accepting", "drain", "close last", "close first"]


@pytest.mark.parametrize(("kind", "code"), [("sys.exit 3", 3), ("sys.exit text", 1), ("sys.exit", 0)])
def test_a_program_that_calls_exit_leaves_in_order_with_its_code(kind, code):
    ended, said, logged = leave(kind)
    assert (ended, said) == (code, STEPS)
    assert ("last words" in logged) == ("text" in kind)


def test_a_program_that_waits_for_what_was_cancelled_does_not_hang():
    code, said, logged = leave("cancelled")
    assert (code, said) == (1, STEPS)
    assert "CancelledError" in logged


def test_a_step_that_waits_for_what_was_cancelled_does_not_hold_up_the_others():
    code, said, logged = leave("cancelled step", signal.SIGTERM)
    assert (code, said) == (0, STEPS)
    assert "waited for something that was cancelled" in logged


async def test_an_earlier_handler_is_told_too_and_put_back():
    heard = []

    def earlier(number, _):
        heard.append(("earlier", number))

    def broken(_):
        heard.append("broken")
        raise ZeroDivisionError

    shown = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: shown.append(type(context["exception"])))
    before = signal.signal(signal.SIGUSR1, earlier)
    try:
        removes = [on_signal(signal.SIGUSR1, call) for call in (broken, heard.append)]
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(20):
            while len(heard) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert heard == ["broken", signal.SIGUSR1, ("earlier", signal.SIGUSR1)]
        assert shown == [ZeroDivisionError]
        for remove in removes:
            remove()
        assert signal.getsignal(signal.SIGUSR1) is earlier
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_is_the_runners_again_after_it_was_listened_to():
    async def main():
        before = signal.getsignal(signal.SIGINT)
        on_signal(signal.SIGINT, print)()
        assert signal.getsignal(signal.SIGINT) is before
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.sleep(20)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    wait_until(lambda: threading.active_count() == 1, what="the end of the timer")


def test_exit_callbacks_one_is_taken_away_and_not_the_other():
    code = """
from rookery import on_exit
def say(): print("bye")
on_exit(say)
on_exit(say)()
on_exit(lambda: print("first"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["first", "bye"]
    assert callable(on_exit)
