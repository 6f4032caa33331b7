"""Clusters for tests: apps of programs/cluster, short times, and a client."""

from __future__ import annotations

import asyncio
from pathlib import Path

from capabilities import DEADLINE
from rookery import Cluster, RestartPolicy
from rookery.lifecycle.restart import Backoff

APPS = Path(__file__).parent / "programs" / "cluster"
QUICK = RestartPolicy(backoff=Backoff(base=0.05, cap=0.2))


def cluster(app="web:app", **options):
    """Two workers of an app, on any port; events are collected in .events."""
    events = []
    options = {
        "bind": "127.0.0.1:0",
        "workers": 2,
        "cwd": APPS,
        "linger": 2.0,  # a client that is busy beside us gets its turn within
        "settle": 0.1,
        "policy": QUICK,
    } | options
    made = Cluster(app, on_event=events.append, **options)
    made.events = events
    return made


def connecting(address, **options):
    """What opens a connection to an address of a cluster."""

    async def connect():
        if address.startswith("unix:"):
            return await asyncio.open_unix_connection(address.removeprefix("unix:"))
        host, _, port = address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), **options)

    return connect


async def get(address, path="/", *, keep=False, **options):
    """(status, body) of one request on a connection of its own."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await connecting(address, **options)()
        try:
            close = b"" if keep else b"Connection: close\r\n"
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path.encode(), close))
            head = await reader.readuntil(b"\r\n\r\n")
            if b"content-length:" not in head.lower():
                return int(head.split()[1]), await reader.read()
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            return int(head.split()[1]), await reader.readexactly(length)
        finally:
            writer.close()


async def until(condition, what):
    """Wait in the event loop until the condition gives something true; that."""
    async with asyncio.timeout(DEADLINE):
        while not (found := condition()):  # noqa: ASYNC110 - only looking shows it
            await asyncio.sleep(0.01)
    assert found, what
    return found


def kinds(made):
    return [event.kind for event in made.events]
