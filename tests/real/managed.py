"""Clustered apps under a manager: a rook.toml of short times, a strict client beside, commands that do not block."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager

from clusters import APPS, connecting, until
from strict_client import StrictClient

from rookery.testing import wait_until

QUICK = {"instances": 2, "bind": "127.0.0.1:0", "linger": "1s", "drain_timeout": "5s", "cwd": str(APPS)}
KINDS = {
    "asgi": {"app": "web:app"},
    "hash": {"app": "web:app", "balance": "hash"},
    "round_robin": {"app": "web:app", "balance": "round_robin"},
    "wsgi": {"app": "wsgi:app", "kind": "wsgi"},
    "connection": {"app": "links:streams", "kind": "connection", "linger": None},
    "socket": {"app": "links:accepting", "kind": "socket", "linger": None},
    "program": {"command": [sys.executable, "program.py", "{fd}"], "linger": None},
}


class Managed:
    """One clustered app, ``web``. describe() writes its file, the rest asks the real command."""

    def __init__(self, rook, **options):
        self.rook = rook
        self.file = rook.folder / "rook.toml"
        self.options = {**QUICK, **options}
        self.describe()

    def describe(self, **changes):
        self.options |= changes
        given = {key: value for key, value in self.options.items() if value is not None}
        lines = [f"{key} = {_toml(value)}" for key, value in given.items()]
        self.file.write_text("\n".join(["[apps.web]", *lines, ""]))

    async def run(self, *args):
        return await asyncio.to_thread(self.rook, *args)

    async def ok(self, *args):
        return await asyncio.to_thread(self.rook.ok, *args)

    async def result(self, *args):
        """(exit code, outcomes) of a command."""
        ran = await self.run(*args, "--json")
        return ran.code, json.loads(ran.out)["outcomes"]

    def rows(self):
        return self.rook.rows("web")

    @property
    def pids(self):
        return [row["pid"] for row in self.rows()]

    @property
    def address(self):
        return self.rows()[0]["bind"]

    @asynccontextmanager
    async def load(self, **numbers):
        """A client at work; it has had answers before, and has some from what there is at the end."""
        client = StrictClient(connecting(self.address))
        client.start(**(numbers or {"keep_alive": 4, "each": 2, "lag": 2, "slow": 2}))
        await until(lambda: client.answered.total() > 50, "answers")
        try:
            yield client
            seen = client.answered.total()
            await until(lambda: client.answered.total() > seen + 50, "answers afterwards")
        finally:
            await client.stop()

    def ready(self, count):
        """Wait until so many are there and ready; their rows."""

        def seen():
            rows = self.rows()
            return rows if len(rows) == count and all(row["ready"] for row in rows) else None

        return wait_until(seen, 20, f"{count} that are ready")


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)
