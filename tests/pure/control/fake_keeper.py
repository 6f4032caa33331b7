"""Stands in for the keeper: ``fake_keeper.main()`` with HOME as the last argument.

It takes the home's lock or leaves with 75, answers ping, and leaves after a kill.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys


def main():
    home = sys.argv[-1]
    lock = os.open(f"{home}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(75)
    os.makedirs(f"{home}/run", exist_ok=True)
    path = f"{home}/run/control.sock"
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))
        listener.listen(16)
        facts = {
            "pid": os.getpid(),
            "keeper_pid": os.getpid(),
            "cwd": os.getcwd(),
            "environ": sorted(os.environ),
            "session": os.getsid(0),
        }
        while True:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65536)
                if not request:
                    continue
                body = json.dumps(facts).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                if request.startswith(b"POST /v1/kill"):
                    return
