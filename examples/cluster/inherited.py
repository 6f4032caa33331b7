"""A program in its own right that takes its listening socket as systemd would give it."""

import os
import socket
import sys

number = int(sys.argv[1])
assert os.environ["LISTEN_FDS"] == "1"
assert os.environ["LISTEN_PID"] == str(os.getpid())
listening = socket.socket(fileno=number)
while True:
    client, _ = listening.accept()
    with client:
        client.sendall(b"hello from worker " + os.environ["ROOKERY_SLOT"].encode() + b"\n")
