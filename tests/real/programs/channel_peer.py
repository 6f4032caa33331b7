"""The other end of a channel on descriptor 3: echoes messages, answers requests; "stop" in the command ends it."""

import os
import socket
import sys

from rookery.ipc.sync_channel import SyncChannel

channel = SyncChannel(socket.socket(fileno=int(sys.argv[1])))
channel.on("add", lambda message: message["a"] + message["b"])
channel.on("pid", lambda _: os.getpid())
channel.on("hang", lambda _: sys.stdin.read())
channel.send("ready")
if sys.argv[2:] == ["mute"]:
    sys.stdin.read()
for message in channel:
    channel.send(message)
