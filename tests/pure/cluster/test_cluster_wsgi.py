"""WSGI apps behind an ASGI server: what they are given, and what becomes of what they answer."""

from __future__ import annotations

import asyncio
import sys
import threading
from wsgiref.validate import validator

import pytest

from rookery.cluster.runner.wsgi import WsgiApp


def scope(method="GET", path="/", headers=(), **more):
    return {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": b"a=1", "root_path": "",
        "headers": list(headers), "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80), "scheme": "http", **more,
    }  # fmt: skip


async def ask(app, body=(), *, disconnect=False, **options):
    """The messages of an answer."""
    if body:
        options["headers"] = [*options.get("headers", ()), (b"content-length", b"%d" % sum(map(len, body)))]
    coming = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    coming.append({"type": "http.disconnect"} if disconnect else {"type": "http.request", "body": b""})
    said = []

    async def receive():
        return coming.pop(0)

    async def send(message):
        said.append(message)

    made = WsgiApp(app, 2)
    try:
        await made(scope(**options), receive, send)
    finally:
        await asyncio.to_thread(made._threads.shutdown)
    return said


def bodies(said):
    return [message["body"] for message in said[1:]]


def hello(environ, start_response):
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Two", "ä")])
    return [b"hel", b"lo"]


async def test_a_short_answer_is_one_piece():
    said = await ask(hello)
    assert said == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"content-type", b"text/plain"), (b"x-two", b"\xe4")],
        },
        {"type": "http.response.body", "body": b"hello"},
    ]


async def test_it_keeps_to_the_letter_of_the_standard(capsys):
    def app(environ, start_response):
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(length)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    assert bodies(await ask(validator(app), [b"x" * 10, b"y" * 10], method="POST")) == [b"x" * 10 + b"y" * 10]


async def test_what_the_app_is_told():
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    await ask(app, path="/a/ü", root_path="/a", headers=[(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2")])
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"]) == (
        "/a",
        "/ü".encode().decode("latin-1"),
        "a=1",
    )
    assert (seen["HTTP_HOST"], seen["HTTP_X_A"], seen["REMOTE_ADDR"]) == ("x", "1,2", "127.0.0.1")


async def test_a_large_body_is_taken_in_whole():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"%d" % len(environ["wsgi.input"].read())]

    assert bodies(await ask(app, [b"x" * 1_500_000, b"y" * 500_000], method="POST")) == [b"2000000"]


async def test_a_client_that_goes_while_it_sends_is_not_answered():
    called = []
    assert await ask(lambda *_: called.append(1), [b"x"], method="POST", disconnect=True) == []
    assert called == []


class Pieces:
    """An answer in pieces that knows whether it was closed, and which threads it ran in."""

    def __init__(self, pieces, start):
        self.pieces = iter(pieces)
        self.start = start
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.start is not None:
            self.start()
            self.start = None
        assert threading.current_thread() is not threading.main_thread()
        piece = next(self.pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed += 1


def piecewise(pieces, headers=()):
    made = []

    def app(environ, start_response):
        # As a generator does it: start_response() is called with the first piece.
        made.append(Pieces(pieces, lambda: start_response("200 OK", list(headers))))
        return made[0]

    return app, made


async def test_a_long_answer_comes_in_pieces():
    app, made = piecewise([b"", b"one", b"", b"two"])
    said = await ask(app)
    assert bodies(said) == [b"one", b"two", b""]
    assert [message.get("more_body", False) for message in said[1:]] == [True, True, False]
    assert made[0].closed == 1


async def test_one_that_is_as_long_as_it_said_is_over_at_once():
    app, made = piecewise([b"one", b"two"], [("Content-Length", "6")])
    assert bodies(await ask(app)) == [b"one", b"two"]
    assert made[0].closed == 1


async def test_an_empty_one():
    def app(environ, start_response):
        start_response("204 No Content", [])
        return []

    assert bodies(await ask(app)) == [b""]
    with pytest.raises(RuntimeError, match="did not call start_response"):
        await ask(lambda environ, start_response: iter(()))


async def test_what_is_written_comes_first():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return [b"c"]

    assert bodies(await ask(app)) == [b"abc"]


async def test_one_that_fails_in_the_middle_is_closed():
    app, made = piecewise([b"one", ValueError("broken")])
    with pytest.raises(ValueError, match="broken"):
        await ask(app)
    assert made[0].closed == 1


async def test_an_error_before_the_answer_may_change_it():
    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            raise ValueError("no")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"oops"]

    assert (await ask(app))[0]["status"] == 500
