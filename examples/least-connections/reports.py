"""Pages are quick. A report takes long, and asks a database that is somewhere else."""

import asyncio
import os


async def app(scope, _receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/report":
        await asyncio.sleep(1)
    body = os.environ["ROOKERY_SLOT"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
