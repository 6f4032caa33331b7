"""An ASGI app whose faults are asked for by its environment, and by its paths."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from rookery.cluster import here
from rookery.worker import channel

FAULT = os.environ.get("FAULT", "")
if FAULT == "import":
    raise RuntimeError("this version is broken")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        await PATHS.get(scope["path"], pid)(receive, send)


async def lifespan(receive, send):
    await receive()
    if FAULT == "startup":
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
    if FAULT == "never ready":
        print("waiting for the database", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    if FAULT == "crash after ready":
        asyncio.get_running_loop().call_later(0.1, os._exit, 7)
    talking = asyncio.ensure_future(talk()) if os.environ.get("TALK") else None
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if talking is not None:
        talking.cancel()
    print(f"shutdown of slot {here.slot()}", file=sys.stderr, flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def talk():
    async with channel() as parent:
        await parent.send({"type": "hello", "slot": here.slot(), "id": here.worker_id(), "app": here.app()})
        async for message in parent:
            await parent.send({"type": "echo", "slot": here.slot(), "of": message})


async def answer(send, body, status=200, kind=b"text/plain"):
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def pid(receive, send):
    await answer(send, b"%d" % os.getpid())


async def slow(receive, send):
    await asyncio.sleep(0.2)
    await pid(receive, send)


async def version(receive, send):
    await answer(send, os.environ.get("VERSION", "?").encode())


async def failing(receive, send):
    raise ValueError("asked for")


async def wrong(receive, send):
    await answer(send, b"no", status=503)


async def busy(receive, send):
    """The event loop does not turn meanwhile."""
    time.sleep(1.0)  # noqa: ASYNC251
    await pid(receive, send)


async def stuck(receive, send):
    while True:
        pass


async def forever(receive, send):
    await asyncio.Event().wait()


async def large(receive, send):
    LARGE.append(b"x" * (100 << 20))
    await pid(receive, send)


async def events(receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(10**9):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.05)


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            print(f"websocket closed with {message.get('code')}", file=sys.stderr, flush=True)
            return
        await send({"type": "websocket.send", "text": message["text"]})


LARGE = []
PATHS = {
    "/slow": slow,
    "/version": version,
    "/failing": failing,
    "/wrong": wrong,
    "/busy": busy,
    "/stuck": stuck,
    "/forever": forever,
    "/large": large,
    "/events": events,
}


def make():
    return app
