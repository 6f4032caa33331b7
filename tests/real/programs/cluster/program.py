"""A program that takes its socket as systemd gives it; with an argument, by that number; with PORT, its own port."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from links import END, said

wake, told = os.pipe()
signal.signal(signal.SIGTERM, lambda *_: os.write(told, b"x"))
if os.environ.get("LISTEN_FDS"):
    assert int(os.environ["LISTEN_PID"]) == os.getpid()
    number = int(sys.argv[1])
    assert number == 3
    listening = socket.socket(fileno=number)
else:
    listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
listening.settimeout(0.05)
print("accepting now", flush=True)


def one(sock):
    with sock:
        head = b""
        while END not in head:
            data = sock.recv(4096)
            if not data:
                return
            head += data
        sock.sendall(said())


os.set_blocking(wake, False)
while True:
    try:
        if os.read(wake, 1):
            break
    except BlockingIOError:
        pass
    try:
        sock, _ = listening.accept()
    except TimeoutError:
        continue
    sock.setblocking(True)
    threading.Thread(target=one, args=(sock,)).start()
