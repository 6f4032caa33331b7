"""Messages with descriptors: whole, in order, and each with its own."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest

from rookery.errors import ResourcesExhausted
from rookery.pool.nursery import fork_server_end
from rookery.pool.nursery.fork_server_wire import Inbox, close_all, packed, send
from rookery.process.lookup import explain


@pytest.fixture
def ends():
    with ExitStack() as stack:
        left, right = map(stack.enter_context, socket.socketpair())
        inbox = Inbox(right)
        stack.callback(inbox.close)
        yield left, inbox


def all_of(inbox, count):
    found = []
    while len(found) < count:
        found += inbox.take()
    return found


def test_messages_come_whole_and_in_order(ends):
    sock, inbox = ends
    messages = [("start", number, "é\udcff", b"\0" * number, (1, 2), None) for number in range(50)]
    for message in messages:
        send(sock, packed(message))
    assert all_of(inbox, 50) == [(message, []) for message in messages]
    with pytest.raises(BlockingIOError):
        inbox.take()
    sock.close()
    with pytest.raises(EOFError):
        inbox.take()


def test_each_message_has_its_own_descriptors(ends, tmp_path):
    sock, inbox = ends
    counts = [0, 1, 3, 0, 250, 2]
    for number, count in enumerate(counts):
        fds = [os.open(tmp_path / f"{number}-{index}", os.O_CREAT | os.O_RDWR) for index in range(count)]
        data = packed((number,), fds)
        assert send(sock, data, fds) == len(data)
        close_all(fds)
    for number, (message, fds) in enumerate(all_of(inbox, len(counts))):
        assert message == (number,)
        names = [os.path.basename(os.readlink(f"/proc/self/fd/{fd}")) for fd in fds]
        assert names == [f"{number}-{index}" for index in range(counts[number])]
        assert not any(map(os.get_inheritable, fds))
        close_all(fds)


def test_a_message_in_pieces_keeps_its_descriptors(ends):
    sock, inbox = ends
    data = memoryview(packed(("large", b"x" * 300_000), [0]))
    at = 0
    sock.setblocking(False)
    found = []
    while not found:
        if at < len(data):
            with suppress(BlockingIOError):
                at += send(sock, data[at : at + 7000], [0] if at == 0 else [])
        try:
            found = inbox.take()
        except BlockingIOError:
            continue
    ((message, fds),) = found
    assert len(message[1]) == 300_000
    assert len(fds) == 1
    close_all(fds)


def test_what_came_and_was_not_taken_is_closed(ends):
    sock, inbox = ends
    data = packed(("half", b"x" * 100), [0, 0])
    send(sock, data[:50], [0, 0])
    assert inbox.take() == []
    inbox.close()  # the leak check looks


def test_a_message_that_is_too_short_of_descriptors_says_so(ends):
    sock, inbox = ends
    send(sock, packed(("start",), [0, 0]), [0])  # as the kernel delivers it where no numbers are free
    assert all_of(inbox, 1) == [(("start",), None)]


@pytest.mark.parametrize(
    ("wanted", "code"), [(None, 0), (0, 0), (3, 3), (256, 0), (-1, 255), (True, 1), ("text", 1), ((), 1)]
)
def test_exit_codes_are_the_interpreters(wanted, code, capfd):
    assert fork_server_end._exit_code(wanted) == code
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"raise SystemExit({wanted!r})"], check=False, capture_output=True
    )
    assert ran.returncode == code
    assert capfd.readouterr().err == ran.stderr.decode()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_fork_that_is_refused_is_explained(number):
    error = explain(number, ("pool worker one",), stage="fork", env=None, cwd=None)
    assert isinstance(error, ResourcesExhausted)
    assert error.errno == number
