"""A Cluster of Node workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from strict_client import StrictClient
from talking import Talk, ask

from capabilities import DEADLINE, needs_node
from rookery.cluster.cluster import Cluster
from rookery.errors import ReloadFailed, WorkerNotReady

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(4 * DEADLINE)]

PROGRAMS = Path(__file__).parent / "programs" / "node"
APP = PROGRAMS / "cluster_app.js"


def cluster(app=APP, **options):
    options = {"bind": "127.0.0.1:0", "workers": 2, "linger": 1.0, "drain_timeout": 5, "settle": 0.1, **options}
    return Cluster(app, **options)


def where(running):
    host, _, port = running.addresses[0].rpartition(":")
    return host, int(port)


async def get(running, path="/"):
    return await ask(None, path, address=where(running))


async def until(condition, what):
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - only looking shows it
            await asyncio.sleep(0.02)
    assert condition(), what


@pytest.mark.parametrize("balance", ["shared", "hash"])
async def test_reloads_under_load_fail_no_request(balance):
    async with cluster(PROGRAMS / "http.js", balance=balance, settle=0) as running:
        client = StrictClient(lambda: asyncio.open_connection(*where(running)))
        client.start(keep_alive=4, each=2, lag=4, slow=4)
        for version in range(2, 6):
            result = await running.reload()
            assert (result.replaced, result.version) == ((0, 1), version)
        await client.stop()
        assert (dict(client.failed), dict(client.stale)) == ({}, {})
        assert min(client.answered.values()) > 20


@pytest.mark.parametrize(
    ("how", "why"), [("throws", "the new code is broken"), ("silent", "not ready within"), ("soon", "3")]
)
async def test_new_code_that_fails_leaves_the_old_workers_serving(how, why):
    patience = {"silent": {"start_timeout": 3.0}, "soon": {"settle": 1.5}}.get(how, {})
    async with cluster(**patience) as running:
        before = {row.pid for row in running.status().workers}
        with pytest.raises(ReloadFailed, match=why):
            await running.reload(env={"BROKEN": how})
        assert {row.pid for row in running.status().workers} == before
        assert (await get(running)).startswith("1 ")
        await running.reload(env={"BROKEN": "", "VERSION": "2"})
        assert (await get(running)).startswith("2 ")


async def test_an_app_that_says_ready_itself():
    async with cluster(PROGRAMS / "says_ready.js", ready="channel") as running:
        assert await get(running) == "ok"
    with pytest.raises(WorkerNotReady, match="not ready within 1 s"):
        async with cluster(ready="channel", start_timeout=1):
            pass


@pytest.mark.parametrize("path", ["/leave", "/exit"])
async def test_a_worker_that_leaves_unasked_is_replaced(path):
    async with cluster(workers=1) as running:
        (before,) = running.status().workers
        await get(running, path)
        await until(
            lambda: [row.ready for row in running.status().workers if row.pid != before.pid] == [True], "a new one"
        )
        assert (await get(running)).split()[1] != str(before.pid)


async def test_a_worker_that_is_stuck_is_replaced():
    async with cluster(workers=1, worker_timeout=2.5, drain_timeout=1, graceful_timeout=1) as running:
        await until(lambda: running.status().workers[0].heartbeat is not None, "a first sign of life")
        before = running.status().workers[0].pid
        await get(running, "/stuck")
        await until(lambda: [row.pid for row in running.status().workers if row.ready] not in ([], [before]), "another")
        assert (await get(running)).split()[1] != str(before)


async def test_messages_and_numbers():
    heard = []
    async with cluster() as running:
        running.on_message(lambda worker, message: heard.append((worker.slot, message)))
        await running.broadcast({"news": "ü"})
        await until(lambda: len(heard) == 2, "both answers")
        assert sorted(heard, key=str) == [(slot, {"got": {"news": "ü"}, "by": slot + 1}) for slot in (0, 1)]
        async with Talk(None, address=where(running)) as talk:
            for _ in range(5):
                talk.send()
                await talk.answer()
        await until(lambda: sum(row.requests for row in running.status().workers) == 5, "five requests")
        rows = running.status().workers
        assert sum(row.errors for row in rows) == 0
        assert 0 < max(row.latency.get("p99", 0) for row in rows) < DEADLINE
