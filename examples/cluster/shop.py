"""The app: ASGI. Any framework's app object will do."""

import os

from rookery.cluster import here

VERSION = os.environ.get("VERSION", "1")
if VERSION == "broken":
    raise RuntimeError("no such table: orders")


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"version {VERSION}, worker {here.slot()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
