"""A worker that needs nothing but Python itself, so that hundreds start in no time: frames with JSON; it echoes."""

import json
import os
import socket
import struct

channel = socket.socket(fileno=int(os.environ["ROOKERY_CHANNEL_FD"]))
stream = channel.makefile("rb")


def send(message):
    payload = json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(payload)) + payload)


stream.read(struct.unpack(">I", stream.read(4))[0])  # the welcome
send({"type": "rookery.ready", "version": 1, "pid": os.getpid()})
while header := stream.read(4):
    send(json.loads(stream.read(struct.unpack(">I", header)[0])))
