"""A small ASGI app that knows nothing of rookery."""

import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"hello from Python, pid {os.getpid()}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
