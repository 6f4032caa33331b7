"""A worker without an event loop, which does not look after its parent's end at all."""

import sys

from rookery.worker import connect

assert "asyncio" not in sys.modules
parent = connect()
parent.on("add", lambda message: message["a"] + message["b"])
while True:
    parent.send(["again", parent.receive()])
