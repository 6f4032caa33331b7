"""How much a cluster takes, what accepting costs, and how connections are split between workers."""

import collections
import contextlib
import os
import socket
import tempfile
import time

import proc
from cluster_load import flood
from running import Failed

CONNECTIONS = 64
HELD = 1000
SETTLED = 0.5
"""Seconds until a server has noticed that connections were closed."""


def rates(servers, how, *, rounds, seconds, note):
    """They take turns, in each round from another one on. note(title, round, Result, CPU).

    CPU: seconds of its workers, and of all its other processes.
    """
    for number in range(rounds if servers else 0):
        start = number % len(servers)
        for server in [*servers[start:], *servers[:start]]:
            workers = server.workers()
            others = {server.pid, *proc.descendants(server.pid)} - workers
            before = _cpu(workers), _cpu(others)
            result = flood(server.port, how, CONNECTIONS, seconds)
            note(server.title, number, result, (_cpu(workers) - before[0], _cpu(others) - before[1]))


def _cpu(pids):
    return sum(proc.cpu_seconds(pid) for pid in pids if proc.is_alive(pid))


class Held:
    """Connections that stay open, and which worker has each. Raises Failed, OSError."""

    def __init__(self, port):
        self._port = port
        self._links = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for link, _ in self._links:
            link.close()

    def make(self, count):
        """One after the other, each with one request."""
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", self._port), 5)
            self._links.append((link, self._worker(link)))

    def close(self, pids):
        """All that these workers have; how many those were."""
        gone = [link for link, pid in self._links if pid in pids]
        for link in gone:
            link.close()
        self._links = [(link, pid) for link, pid in self._links if pid not in pids]
        return len(gone)

    def counts(self):
        """Connections by worker, of those that have some."""
        return collections.Counter(pid for _, pid in self._links)

    def spread(self, workers):
        """Most of a worker less the fewest of one."""
        counts = self.counts().values()
        return max(counts) - (min(counts) if len(counts) == workers else 0)

    def _worker(self, link):
        link.sendall(b"GET /fresh/0 HTTP/1.1\r\nHost: here\r\n\r\n")
        said = b""
        while not said.endswith(b"/fresh/0"):
            piece = link.recv(4096)
            if not piece:
                raise Failed("a connection was closed")
            said += piece
        return int(said.lower().split(b"\r\nx-worker:", 1)[1].split(b"\r\n", 1)[0])


def split(server):
    """Spread of 1,000 connections made one after the other; and again when those of half the workers are made anew."""
    with Held(server.port) as held:
        held.make(HELD)
        first = held.spread(server.count)
        half = sorted(held.counts())[: server.count // 2]
        closed = held.close(half)
        time.sleep(SETTLED)
        held.make(closed)
        return first, held.spread(server.count)


@contextlib.contextmanager
def running(makers, *, workers):
    """Servers by their makers (folder, workers), all at once. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="rook-bench-") as folder, contextlib.ExitStack() as stack:
        servers = []
        for number, maker in enumerate(makers):
            server = maker(os.path.join(folder, str(number)), workers=workers)
            stack.callback(server.close)
            server.start()
            servers.append(server)
        yield servers
