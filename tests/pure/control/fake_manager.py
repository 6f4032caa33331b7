"""A manager that is only a socket: answers what the test says, and remembers what it was asked."""

from __future__ import annotations

import json
import os
import socket
import threading
import urllib.parse
from typing import Any, NamedTuple

from rookery.control import places


class Asked(NamedTuple):
    method: str
    path: str
    selectors: list[str]
    body: Any


def problem(status, title, *, exit_code=1, detail="", hint=""):
    return status, {"title": title, "status": status, "detail": detail, "hint": hint, "exit_code": exit_code}


def row(number=0, **changed):
    return {
        "id": number,
        "name": "web",
        "namespace": "default",
        "index": 0,
        "pid": 100 + number,
        "state": "running",
        "ready": True,
        "restarts": 0,
        "uptime": 65.0,
        "cpu": 1.25,
        "memory": 50 * 1024 * 1024,
        "exit": None,
        "since": 1_700_000_000.0,
        "bind": None,
        **changed,
    }


def outcome(name="web", index=0, **changed):
    return {
        "name": name,
        "index": index,
        "id": index,
        "ok": True,
        "did": "started",
        "state": "running",
        "pid": 1234,
        "reason": "",
        "exit": None,
        "log": "",
        **changed,
    }


def ended(reason="exited with code 1", **changed):
    return {"code": 1, "signal": None, "reason": reason, "at": 1_700_000_000.0, "stderr": [], **changed}


def plain(status, value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body)) + body


def chunked(status, value, *, size=7):
    body = json.dumps(value).encode()
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    wire = b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 %d X\r\nTransfer-Encoding: Chunked\r\n\r\n" % status + wire + b"0\r\n\r\n"


class FakeManager:
    """answers: (method, path) -> (status, JSON) or a function of Asked that returns them.

    raw: bytes to send instead, one per request, as lists of pieces; [] cuts the connection without an answer.
    """

    def __init__(self, home):
        self.home = str(home)
        self.answers = {
            ("GET", "/v1/ping"): (
                200,
                {
                    "pid": 7,
                    "uptime": 65.0,
                    "epoch": 1,
                    "apps": 2,
                    "home": self.home,
                    "keeper_pid": 6,
                    "collector_pid": 8,
                    "version": "0.1",
                    "api": 1,
                },
            )
        }
        self.raw = []
        self.asked = []
        os.makedirs(os.path.join(self.home, "run"), mode=0o700, exist_ok=True)
        path = places.control_socket(self.home)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with places.connectable(path) as address:
            self._listener.bind(address)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            self._thread.join(10)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self._answer(connection)

    def _answer(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:  # somebody only looked whether we listen
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        length = next((int(line.split(":")[1]) for line in fields if line.lower().startswith("content-length")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        selectors = urllib.parse.parse_qs(query).get("select", [])
        asked = Asked(method, path, selectors, json.loads(body) if body else None)
        self.asked.append(asked)
        for piece in self._wire(asked):
            try:
                connection.sendall(piece)
            except OSError:
                return

    def _wire(self, asked):
        if self.raw:
            return self.raw.pop(0)
        answer = self.answers.get((asked.method, asked.path), problem(404, "no such path"))
        return [plain(*(answer(asked) if callable(answer) else answer))]
