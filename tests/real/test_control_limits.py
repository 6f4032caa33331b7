"""Nobody can hold the manager up by sending slowly, too much or nothing, or by not reading."""

from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import ExitStack

import pytest
from served import Served

from capabilities import DEADLINE
from rookery.control import places
from rookery.control.client import Client
from rookery.control.follow import follow
from rookery.testing import wait_until
from rookery.web import guard
from rookery.web.streams import Streams

pytestmark = pytest.mark.real

WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: "
LATE = b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


class Peer:
    """A bare connection."""

    def __init__(self, path, *pieces):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        for piece in pieces:
            self.socket.sendall(piece)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self):
        """All that comes until the other side ends it."""
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def answer(self):
        """One answer: status, kind and JSON."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._piece()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        known = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        while len(body) < int(known["content-length"]):
            body += self._piece()
        return int(first.split(" ")[1]), known["content-type"], json.loads(body)

    def _piece(self):
        piece = self.socket.recv(65536)
        assert piece, "the connection was ended"
        return piece

    @property
    def is_cut(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(guard, "HEADER_WITHIN", 0.2)
    monkeypatch.setattr(guard, "BODY_WITHIN", 0.2)


def problem_of(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert int(head.split(b" ")[1]) == problem["status"]
    return problem["status"]


LARGE = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"
"""A header that is too large and may come whole in one read."""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HALF, 408),
        (b"G", 408),
        (LATE, 408),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"x" * 70_000, 431),
        (LARGE, 431),
    ],
    ids=["half-a-header", "one-byte", "half-a-body", "nonsense", "large-header", "large-at-once"],
)
@pytest.mark.usefixtures("quick")
def test_what_is_no_whole_request_is_answered_and_ended(path, sent, status):
    with Served(path) as served:
        with Peer(path, sent) as peer:
            assert problem_of(peer.read()) == status
        wait_until(lambda: served.connections == 0, DEADLINE, "the end of the connection")
        assert is_served(path)


@pytest.mark.usefixtures("quick")
def test_who_sends_nothing_is_ended(path):
    with Served(path), Peer(path) as peer:
        assert peer.read() == b""


@pytest.mark.usefixtures("quick")
def test_drop_by_drop_is_no_way_to_stay(path):
    with Served(path), Peer(path) as peer:
        began = time.monotonic()
        try:
            for byte in HALF * 100:
                peer.socket.sendall(bytes([byte]))
                time.sleep(0.01)  # slowness itself is what is tested
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - began < DEADLINE


@pytest.mark.usefixtures("quick")
def test_the_second_request_of_a_connection_has_the_same_limit(path):
    with Served(path), Peer(path, WHOLE) as peer:
        assert peer.answer()[0] == 200
        peer.socket.sendall(WHOLE)
        assert peer.answer()[0] == 200
        peer.socket.sendall(HALF)
        assert problem_of(peer.read()) == 408


def test_a_slow_but_timely_request_is_answered(path):
    with Served(path), Peer(path) as peer:
        for byte in WHOLE:
            peer.socket.sendall(bytes([byte]))
        assert peer.answer() == (200, "application/json", {"status": "ok"})


def test_a_body_that_is_too_large(path):
    head = b"POST /v1/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
    with Served(path), Peer(path, head, b"x" * 1_100_000) as peer:
        assert peer.answer()[0] == 413


def is_served(path):
    with Peer(path, WHOLE) as peer:
        return peer.answer()[0] == 200


def test_the_oldest_without_work_makes_room(path, monkeypatch):
    monkeypatch.setattr(guard, "MOST_CONNECTIONS", 4)
    with Served(path) as served, ExitStack() as stack:
        stream = stack.enter_context(Peer(path, b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"))
        wait_until(lambda: b"retry" in stream.socket.recv(65536), DEADLINE, "the stream")
        peers = []
        for sent in (HALF, LATE, b"", HALF, HALF):
            peers.append(stack.enter_context(Peer(path, sent)))
            wait_until(lambda: served.connections >= min(4, len(peers) + 1), DEADLINE, "it is taken")
        wait_until(lambda: peers[0].is_cut and peers[1].is_cut, DEADLINE, "the end of the oldest two")
        assert [peer.is_cut for peer in peers[2:]] == [False] * 3
        assert not stream.is_cut
        wait_until(
            lambda: served.connections == 4, DEADLINE, "the others"
        )  # the cut ones are taken leave of a turn later


def test_when_all_are_at_work_the_newest_is_refused(path, monkeypatch):
    monkeypatch.setattr(guard, "MOST_CONNECTIONS", 2)
    with Served(path), ExitStack() as stack:
        for _ in range(2):
            stream = stack.enter_context(Peer(path, b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"))
            wait_until(lambda one=stream: b"retry" in one.socket.recv(65536), DEADLINE, "the stream")
        assert problem_of(stack.enter_context(Peer(path)).read()) == 503


def test_streams_are_counted(path):
    with Served(path, streams=lambda: Streams(most=1)) as served:
        request = b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"
        with Peer(path, request) as first:
            wait_until(lambda: b"retry" in first.socket.recv(65536), DEADLINE, "the stream")
            with Peer(path, request) as second:
                assert second.answer()[0] == 503
        wait_until(lambda: served.connections == 0, DEADLINE, "the end of both")
        with Peer(path, request) as third:
            assert third.socket.recv(65536).startswith(b"HTTP/1.1 200")


def test_who_does_not_read_his_stream_is_cut(path):
    with Served(path, streams=lambda: Streams(patience=0.2)) as served:
        with Peer(path, b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"):

            def pour():
                for _ in range(50):
                    served.apps.events.add("manager", reason="x" * 10_000)

            def is_cut():
                served.call(pour)
                return served.connections == 0

            wait_until(is_cut, DEADLINE, "the end of the stream")
        assert is_served(path)


def test_streams_and_idlers_do_not_keep_a_server_that_leaves(path, monkeypatch):
    for limit in ("HEADER_WITHIN", "BODY_WITHIN"):
        monkeypatch.setattr(guard, limit, 10 * DEADLINE)
    served = Served(path)
    with ExitStack() as stack:
        with served:
            streams = [
                stack.enter_context(Peer(path, b"GET /v1/events?follow=1&type=start HTTP/1.1\r\nHost: x\r\n\r\n"))
                for _ in range(3)
            ]
            for stream in streams:
                wait_until(lambda one=stream: b"retry" in one.socket.recv(65536), DEADLINE, "the stream")
            stalled = stack.enter_context(Peer(path, b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"))
            for _ in range(30):
                served.call(lambda: served.apps.events.add("manager", reason="x" * 20_000))
            idlers = [stack.enter_context(Peer(path, sent)) for sent in (b"", HALF, LATE)]
            wait_until(lambda: served.connections == 7, DEADLINE, "all of them")
            served.leave()
            served._thread.join(DEADLINE)
            assert not served._thread.is_alive(), "requests that nobody works on are waited for"
        assert all(stream.read().endswith(b"0\r\n\r\n") for stream in streams)
        assert all(idler.read() == b"" for idler in idlers)
        stalled.read()


def test_a_thousand_half_sent_requests(rook):
    rook.start("idle.py", "idle")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(Peer(places.control_socket(rook.home), HALF))
        assert [row["name"] for row in rook.json("list")] == ["idle"]
        assert rook.ok("restart", "idle", "--wait", "started")


def test_a_follower_over_a_change_of_managers(rook):
    rook.start("idle.py", "idle")
    client = Client(rook.home)
    following = follow(client, "/v1/events?select=idle&type=start&type=adopted")
    assert next(following).event == "start"
    old = rook.kill_manager()
    rook.next_manager(old)
    told = next(following)
    assert (told.event, told.id.split(".")[0]) == ("adopted", str(rook.ping()["epoch"]))
    rook.ok("restart", "idle", "--wait", "started")
    assert next(following).event == "start"
    following.close()
