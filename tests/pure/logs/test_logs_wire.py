import json
import socket

import pytest

from rookery._base.framing import frame
from rookery.logs import wire
from rookery.logs.wire import Client


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    client = Client(ours)
    yield client, theirs
    client.close()
    theirs.close()


def test_requests_come_with_their_fds_in_order(pair):
    client, manager = pair
    with socket.socket() as one, socket.socket() as two:
        messages = [{"id": 1, "fds": 1}, {"id": 2}, {"id": 3, "fds": 1}]
        data = b"".join(frame(json.dumps(message).encode()) for message in messages)
        socket.send_fds(manager, [data[:7]], [one.fileno(), two.fileno()])
        assert client.receive() == []
        manager.sendall(data[7:])
        requests = client.receive()
    assert [message for message, _ in requests] == messages
    assert [len(fds) for _, fds in requests] == [1, 0, 1]
    for _, fds in requests:
        for fd in fds:
            socket.close(fd)


def test_a_client_that_has_gone(pair):
    client, manager = pair
    manager.close()
    with pytest.raises(EOFError):
        client.receive()
    with pytest.raises(EOFError):
        client.reply({})


def test_answers_for_a_client_that_never_reads_are_bounded(pair, monkeypatch):
    client, _ = pair
    monkeypatch.setattr(wire, "_MOST_UNSENT", 100_000)

    def answer_for_ever():
        for _ in range(10_000):
            client.reply({"text": "x" * 1000})

    with pytest.raises(EOFError):
        answer_for_ever()
    assert client.has_unsent
