"""A child of Node without an event loop."""

from rookery.worker import connect

parent = connect()
while True:
    message = parent.receive()
    if message["type"] == "calculate":
        parent.send({"result": message["a"] + message["b"]})
    else:
        parent.send({"length": len(message["text"])})
