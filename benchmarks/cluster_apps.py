"""The application that all servers of the cluster benchmark serve: the answer is the path. /slow/ takes 200 ms."""

import asyncio
import contextlib
import os
import time

with contextlib.suppress(PermissionError):  # it leads one already
    os.setsid()  # the scheduler shares CPU between sessions: no server is to have more of them than another

PAUSE = 0.2
PID = str(os.getpid())
HEADERS = [(b"content-type", b"text/plain"), (b"x-worker", PID.encode())]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"].encode()
    if path.startswith(b"/slow"):
        await asyncio.sleep(PAUSE)
    headers = [*HEADERS, (b"content-length", b"%d" % len(path))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": path})


async def _live(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def wsgi(environ, start_response):
    path = environ["PATH_INFO"].encode()
    if path.startswith(b"/slow"):
        time.sleep(PAUSE)
    headers = [("Content-Type", "text/plain"), ("X-Worker", PID), ("Content-Length", str(len(path)))]
    start_response("200 OK", headers)
    return [path]


async def close(connection):
    """Given each connection: what a server costs that does nothing but accept."""
    connection.close()
