"""Requests and answers over one connection."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest

from rookery import errors
from rookery._base.framing import FrameBuffer, frame
from rookery.daemon.manager.link import Link, error_from


class Peer:
    """The other side, by hand."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock, self.buffer, self.fds = sock, FrameBuffer(), []

    async def requests(self, count=1):
        """That many requests."""
        loop = asyncio.get_running_loop()
        found = []
        async with asyncio.timeout(10):
            while len(found) < count:
                ready = asyncio.Event()
                loop.add_reader(self.sock, ready.set)
                await ready.wait()
                loop.remove_reader(self.sock)
                data, fds, _, _ = socket.recv_fds(self.sock, 65536, 100)
                self.fds += fds
                found += [json.loads(payload) for payload in self.buffer.feed(data)]
        return found

    def answer(self, request, fds=(), /, **fields):
        data = frame(json.dumps({"id": request["id"], "ok": True, **fields}).encode())
        if fds:
            socket.send_fds(self.sock, [data], fds)
        else:
            self.sock.sendall(data)

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


@pytest.fixture
async def pair():
    ours, theirs = socket.socketpair()
    events, lost = [], []
    link = Link(ours, name="keeper", on_event=events.append, on_lost=lambda: lost.append(True))
    link.events, link.lost = events, lost
    peer = Peer(theirs)
    yield link, peer
    link.close()
    peer.close()


def asking(link, *args, **fields):
    return asyncio.ensure_future(link.call(*args, **fields))


async def test_answers_are_matched_by_id_not_by_order(pair):
    link, peer = pair
    first, second = asking(link, "a", x=1), asking(link, "b")
    one, two = await peer.requests(2)
    assert (one["verb"], one["x"], two["verb"]) == ("a", 1, "b")
    peer.answer(two, value="two")
    peer.answer(one, value="one")
    assert (await first)["value"] == "one"
    assert (await second)["value"] == "two"


async def test_descriptors_travel_both_ways_and_none_is_left(pair):
    link, peer = pair
    read, write = os.pipe()
    call = asyncio.ensure_future(link.fetch("get"))
    (request,) = await peer.requests()
    peer.answer(request, [read, write], fds=2)
    _, received = await call
    os.write(received[1], b"x")
    assert os.read(read, 1) == b"x"
    for fd in received:
        os.close(fd)

    put = asking(link, "put", (read, write))
    (request,) = await peer.requests()
    assert (request["fds"], len(peer.fds)) == (2, 2)
    peer.answer(request, [read], fds=1)  # call() takes no descriptors: they are closed
    await put
    os.close(read)
    os.close(write)


async def test_a_refusal_is_raised_and_the_link_stays(pair):
    link, peer = pair
    call = asking(link, "spawn")
    (request,) = await peer.requests()
    peer.answer(request, ok=False, error={"type": "StaleLease", "what": "epoch 1 is over"})
    with pytest.raises(errors.StaleLease, match="epoch 1"):
        await call
    assert link.is_open


async def test_what_comes_unasked_is_an_event(pair):
    link, peer = pair
    peer.sock.sendall(frame(b'{"event": "exit", "child": 1}'))
    call = asking(link, "x")
    (request,) = await peer.requests()
    peer.answer(request)
    await call
    assert link.events == [{"event": "exit", "child": 1}]


async def test_a_lost_link_fails_all_who_wait_and_tells_once(pair):
    link, peer = pair
    calls = [asking(link, "x") for _ in range(3)]
    await peer.requests(3)
    peer.close()
    for call in calls:
        with pytest.raises(errors.LinkError, match="went away"):
            await call
    assert link.lost == [True]
    with pytest.raises(errors.LinkError, match="is gone"):
        await link.call("x")
    link.post("x")  # nobody is there to hear it
    assert link.lost == [True]


@pytest.mark.parametrize(
    "bytes_",
    [
        frame(b"no json"),
        frame(b"[1, 2]"),
        frame(b'"text"'),
        b"\xff\xff\xff\xff",
        frame(b'{"id": 1, "ok": true, "fds": 1}'),
        frame(b'{"id": 1, "ok": true, "fds": -1}'),
        frame(b'{"id": 1, "ok": true, "fds": "many"}'),
    ],
    ids=["no-json", "array", "text", "huge", "fds-missing", "fds-negative", "fds-text"],
)
async def test_nonsense_ends_the_link(pair, bytes_):
    link, peer = pair
    call = asking(link, "x")
    await peer.requests()
    peer.sock.sendall(bytes_)
    with pytest.raises(errors.LinkError, match="went away"):
        await call
    assert link.lost == [True]


async def test_an_answer_to_nobody_is_dropped_with_its_descriptors(pair):
    link, peer = pair
    call = asking(link, "x")
    (request,) = await peer.requests()
    read, write = os.pipe()
    peer.answer({"id": 999}, [read], fds=1)
    peer.answer(request)
    await call
    os.close(read)
    os.close(write)
    assert link.is_open


async def test_who_does_not_answer_in_time_is_given_up(pair):
    link, _ = pair
    other = asking(link, "y")
    with pytest.raises(errors.LinkError, match=r"did not answer x within 0\.01 s"):
        await link.call("x", deadline=0.01)
    assert not link.is_open
    assert link.lost == [True]
    with pytest.raises(errors.LinkError):
        await other


async def test_a_cancelled_caller_leaves_the_link_as_it_is(pair):
    link, peer = pair
    call = asking(link, "x")
    (request,) = await peer.requests()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    read, write = os.pipe()
    peer.answer(request, [read], fds=1)
    again = asking(link, "y")
    (request,) = await peer.requests()
    peer.answer(request)
    await again
    os.close(read)
    os.close(write)


async def test_what_the_socket_does_not_take_at_once_waits_with_its_descriptors(pair):
    link, peer = pair
    read, write = os.pipe()
    calls = [asking(link, "put", (read,), text="x" * 100_000) for _ in range(20)]
    await asyncio.sleep(0)
    os.close(read)  # copies are on their way
    requests = await peer.requests(20)
    assert len(peer.fds) == 20
    for request in requests:
        peer.answer(request)
    await asyncio.gather(*calls)
    os.close(write)


async def test_what_waits_is_closed_with_the_link(pair):
    link, _ = pair
    read, write = os.pipe()
    calls = [asking(link, "put", (read,), text="x" * 100_000) for _ in range(20)]
    await asyncio.sleep(0)
    link.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, errors.LinkError) for result in results)
    assert link.lost == []
    os.close(read)
    os.close(write)


async def test_no_descriptors_left_to_copy(pair, monkeypatch):
    link, _ = pair
    copies = []

    def dup(fd, real=os.dup):
        if copies:
            raise OSError(24, "Too many open files")
        copies.append(real(fd))
        return copies[0]

    monkeypatch.setattr(os, "dup", dup)
    with pytest.raises(OSError, match="Too many"):
        await link.call("put", (0, 1))
    assert link.is_open


@pytest.mark.parametrize(
    ("plain", "kind", "text"),
    [
        (None, errors.LinkError, "None"),
        ("ValueError: no", errors.LinkError, "no"),
        ({"type": "LinkError", "what": "w", "why": "y"}, errors.LinkError, "w: y"),
        ({"type": "CommandNotFound", "argv": ["x"], "near": ["xx"]}, errors.CommandNotFound, "no such command"),
        ({"type": "DirectoryMissing", "why": "y", "argv": ["x"], "cwd": "/c"}, errors.DirectoryMissing, "y"),
        ({"type": "ResourcesExhausted", "why": "y", "argv": ["x"]}, errors.ResourcesExhausted, "y"),
        ({"type": "StopFailed", "what": "w"}, errors.LinkError, "w"),
        ({"type": "__builtins__", "what": "w"}, errors.LinkError, "w"),
        ({}, errors.LinkError, ""),
    ],
)
def test_errors_from_the_other_side(plain, kind, text):
    error = error_from(plain)
    assert type(error) is kind
    assert text in str(error)
