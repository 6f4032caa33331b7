"""The strict client (c/cluster_client.c): load beside something else, or as much as a server takes."""

import json
import os
import subprocess

from programs import cluster_client
from running import Failed

LATE = 3.0
"""Seconds after which an answer is a failure."""
LONGEST = 600
SHARES = (
    ("keep-alive", "keep", 64, 0.55),
    ("per request", "fresh", 0, 0.335),
    ("lag", "lag", 0, 0.085),
    ("slow", "slow", 0, 0.018),
    ("slow, keep-alive", "slowkeep", 8, 0.012),
)
"""Of all requests: name, how, connections (0: as they come), share."""


class Load:
    """The load of all kinds of clients from the entry until ``end()``."""

    def __init__(self, port, rate):
        groups = [f"{name}:{how}:{connections}:{rate * share:.1f}" for name, how, connections, share in SHARES]
        argv = [cluster_client(), "127.0.0.1", str(port), str(LONGEST), str(LATE), *groups]
        self._client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._client.poll() is None:
            self._client.kill()
        self._client.communicate()

    def end(self):
        """Wait for the last answers; a Result. Raises Failed."""
        said, _ = self._client.communicate()
        if self._client.returncode:
            raise Failed(f"the client gave up: exit code {self._client.returncode}")
        return Result(json.loads(said))


def flood(port, how, connections, seconds):
    """As many as the server takes, for so long; a Result. Raises Failed."""
    argv = [cluster_client(), "127.0.0.1", str(port), str(seconds), str(LATE), f"all:{how}:{connections}:0"]
    reader, writer = os.pipe()  # an end of its input would end the client
    try:
        done = subprocess.run(argv, stdin=reader, stdout=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(reader)
        os.close(writer)
    if done.returncode:
        raise Failed(f"the client gave up: exit code {done.returncode}")
    return Result(json.loads(done.stdout))


class Result:
    """What a client says. Times are seconds; those of slow requests are not in p50, p99 and max."""

    def __init__(self, said):
        self._groups = said["groups"]
        self.p50, self.p99, self.max = (said.get(key) for key in ("p50", "p99", "max"))
        self.seconds, self.stall = said["seconds"], said["stall"]
        self.example = said["example"]
        self.failures = said["failures"]
        """(kind, group, opened, sent, failed, worker or 0, answers of this connection before), CLOCK_MONOTONIC."""
        self.workers = {int(pid): count for pid, count in said["workers"].items()}

    def _sum(self, key):
        return sum(group[key] for group in self._groups.values())

    @property
    def requests(self):
        return self._sum("requests")

    @property
    def rate(self):
        return self._sum("ok") / self.seconds

    @property
    def stale(self):
        return self._sum("stale")

    @property
    def kinds(self):
        """Of the hard failures: how many of each kind."""
        found = {}
        for group in self._groups.values():
            for kind, count in group["failed"].items():
                found[kind] = found.get(kind, 0) + count
        return found

    @property
    def hard(self):
        return sum(self.kinds.values())
