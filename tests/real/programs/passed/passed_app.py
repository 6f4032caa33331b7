"""Says which worker answers whom; and ways of choosing one."""

import asyncio
import json
import os
import resource

SLOT = int(os.environ.get("ROOKERY_SLOT", "-1"))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"].startswith("/wait/"):
        await asyncio.sleep(float(scope["path"].removeprefix("/wait/")))
    body = json.dumps({"slot": SLOT, "pid": os.getpid(), "client": scope["client"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def narrow():
    """The app in a worker that may have few descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return app


def wsgi(environ, start_response):
    body = json.dumps({"slot": SLOT, "pid": os.getpid(), "client": [environ.get("REMOTE_ADDR")]}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def last_slot(address, workers):
    """Always the last one."""
    return max(worker.slot for worker in workers)


def fails(address, workers):
    raise ValueError("no idea")


def nowhere(address, workers):
    return 99
