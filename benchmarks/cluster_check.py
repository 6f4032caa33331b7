"""Does the strict client see what goes wrong? One server for each fault; what the client must call it.

    python benchmarks/cluster_check.py

Each fault happens to every connection, or to every third request of a kept one. About five seconds.
"""

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from cluster_server import free_port
from programs import cluster_client

LATE, SECONDS = 0.5, 0.5
RST = struct.pack("ii", 1, 0)


def good(path):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)


def reset(link):
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)


def ask(link):
    """The path of the next request, or None."""
    said = b""
    while b"\r\n\r\n" not in said:
        piece = link.recv(4096)
        if not piece:
            return None
        said += piece
    return said.split()[1]


def answers(text):
    def serve(link):
        path = ask(link)
        if path:
            link.sendall(text(path))

    return serve


def resets(link):
    if ask(link):
        reset(link)


def drops(link):
    """At once, before anything is sent."""


def is_silent(link):
    if ask(link):
        time.sleep(LATE + 0.3)


def closes_unread(link):
    """A kept connection, just when the next request has come."""
    link.sendall(good(ask(link)))
    link.recv(1, socket.MSG_PEEK)


def closes_unread_politely(link):
    """With a FIN before the reset."""
    closes_unread(link)
    link.shutdown(socket.SHUT_WR)


def closes_read(link):
    """A kept connection, with the next request in its hands."""
    link.sendall(good(ask(link)))
    ask(link)


def closes_idle(link):
    """No fault: nothing is under way."""
    while path := ask(link):
        link.sendall(good(path))
        if not select.select([link], [], [], 0.01)[0]:
            return


def says_close(link):
    """No fault."""
    path = ask(link)
    link.sendall(good(path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))


def keeps(link):
    while path := ask(link):
        link.sendall(good(path))


CASES = [
    ("fresh", "an answer", answers(good), set()),
    ("keep", "answers", keeps, set()),
    ("keep", "Connection: close", says_close, set()),
    ("keep", "closed while idle", closes_idle, set()),
    ("lag", "an answer", answers(good), set()),
    ("slow", "an answer", answers(good), set()),
    ("fresh", "nobody listens", None, {"refused"}),
    ("fresh", "a reset", resets, {"reset"}),
    ("fresh", "closed with no answer", ask, {"closed"}),
    ("fresh", "half of the head", answers(lambda path: good(path)[:12]), {"cut"}),
    ("fresh", "half of the body", answers(lambda path: good(path)[:-1]), {"cut"}),
    ("fresh", "500", answers(lambda path: good(path).replace(b"200", b"500")), {"status"}),
    ("fresh", "somebody else's answer", answers(lambda path: good(path[:-1] + b"x")), {"malformed"}),
    ("fresh", "more than the answer", answers(lambda path: good(path) + b"?"), {"malformed"}),
    ("fresh", "no length", answers(lambda path: b"HTTP/1.1 200 OK\r\n\r\n" + path), {"malformed"}),
    ("fresh", "no answer in time", is_silent, {"late"}),
    ("lag", "closed before it asked", drops, {"dropped"}),
    ("keep", "reset with the request unread", closes_unread, {"stale"}),
    ("keep", "FIN, then reset, unread", closes_unread_politely, {"stale"}),
    ("keep", "closed with the request read", closes_read, {"closed"}),
]  # fmt: skip


def main():
    is_right = True
    for how, what, serve, wanted in CASES:
        found, count = seen(how, serve)
        is_as_wanted = found == wanted and count > 0
        is_right &= is_as_wanted
        verdict = "as wanted" if is_as_wanted else f"WRONG, wanted {wanted or 'nothing'}"
        print(f"{how:6} {what:32} {', '.join(sorted(found)) or '-':12} {verdict}")
    sys.exit(0 if is_right else 1)


def seen(how, serve):
    """The kinds of faults the client has seen, and how many requests it made. serve: None: nobody listens."""
    port = free_port()
    if serve:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=accept, args=(listener, serve), daemon=True).start()
    connections, rate = (8, 80) if how == "keep" else (0, 100)
    argv = [cluster_client(), "127.0.0.1", str(port), str(SECONDS), str(LATE), f"all:{how}:{connections}:{rate}"]
    reader, writer = os.pipe()
    done = subprocess.run(argv, stdin=reader, stdout=subprocess.PIPE, text=True, check=True)
    os.close(reader)
    os.close(writer)
    if serve:
        listener.close()
    group = json.loads(done.stdout)["groups"]["all"]
    return {*group["failed"], *(["stale"] if group["stale"] else [])}, group["requests"]


def accept(listener, serve):
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(link, serve), daemon=True).start()


def handle(link, serve):
    with link, contextlib.suppress(OSError, TypeError):  # the client has gone
        serve(link)


if __name__ == "__main__":
    main()
