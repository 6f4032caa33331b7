from __future__ import annotations

import fcntl
import os
import socket

import pytest

from rookery._base import descriptors


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_they_come_with_their_bytes_and_no_child_inherits_them(ends):
    ours, theirs = ends
    with open(os.devnull) as one, open(os.devnull) as two:
        assert descriptors.send(ours, b"words", [one.fileno(), two.fileno()]) == 5
        data, fds, were_lost = descriptors.receive(theirs, 100, 4)
    assert (data, len(fds), were_lost) == (b"words", 2, False)
    for fd in fds:
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.close(fd)


def test_bytes_alone(ends):
    ours, theirs = ends
    assert descriptors.send(ours, b"words", []) == 5
    assert descriptors.receive(theirs, 100, 1) == (b"words", [], False)
    with pytest.raises(BlockingIOError):
        descriptors.receive(theirs, 100, 1, socket.MSG_DONTWAIT)
    ours.close()
    assert descriptors.receive(theirs, 100, 1) == (b"", [], False)


def test_more_than_there_is_room_for_is_told(ends):
    ours, theirs = ends
    with open(os.devnull) as one:
        descriptors.send(ours, b"x", [one.fileno()] * 10)
    data, fds, were_lost = descriptors.receive(theirs, 1, 4)
    assert (data, were_lost) == (b"x", True)
    assert len(fds) < 10
    for fd in fds:
        os.close(fd)


def test_where_the_system_has_no_flag_for_it(ends, monkeypatch):
    ours, theirs = ends
    monkeypatch.setattr(descriptors, "CLOEXEC", 0)
    with open(os.devnull) as one:
        descriptors.send(ours, b"x", [one.fileno()])
    _, (fd,), _ = descriptors.receive(theirs, 1, 1)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_what_else_is_in_the_ancillary_data_is_left():
    assert descriptors.received([(socket.SOL_SOCKET, 99, b"abcdefgh"), (1234, socket.SCM_RIGHTS, b"abcd")]) == []
