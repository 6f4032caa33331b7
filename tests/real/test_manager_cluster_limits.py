"""Workers of a clustered app that are stuck, old, or have served enough; Node servers; ports of their own."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from clusters import get, until
from managed import Managed

from capabilities import DEADLINE, needs_node

pytestmark = [pytest.mark.real, pytest.mark.timeout(6 * DEADLINE)]


def events(rook, kind):
    return [one for one in rook.get("/v1/events") if one["type"] == kind]


async def test_a_worker_that_is_stuck_is_replaced(rook):
    web = Managed(rook, app="web:app", worker_timeout="1s")
    await web.ok("start", web.file)
    stuck = web.pids[0]
    os.kill(stuck, signal.SIGSTOP)
    await until(lambda: events(rook, "worker_stuck"), "the stuck one is noticed")
    assert events(rook, "worker_stuck")[0]["pid"] == stuck
    await until(lambda: stuck not in web.pids and len(web.ready(2)) == 2, "its successor")


async def test_a_worker_that_is_busy_is_left_alone(rook):
    web = Managed(rook, app="wsgi:app", kind="wsgi", worker_timeout="500ms", instances=1)
    await web.ok("start", web.file)
    before = web.pids
    async with web.load(keep_alive=4, slow=8):
        await asyncio.sleep(1.5)
    assert web.pids == before
    assert not events(rook, "worker_stuck")


@pytest.mark.parametrize("limit", [{"max_requests": 100}, {"max_lifetime": "1500ms"}], ids=["requests", "lifetime"])
async def test_a_worker_that_has_served_enough_is_replaced_and_no_request_fails(rook, limit):
    web = Managed(rook, app="web:app", **limit)
    await web.ok("start", web.file)
    before = set(web.pids)
    async with web.load() as client:
        await until(lambda: not before & set(web.pids), "both replaced")
    assert events(rook, "worker_recycled")
    assert (client.failed, client.stale) == ({}, {})
    assert sum(row["restarts"] for row in web.rows()) == 0


async def test_one_that_is_killed_comes_back_at_once(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    os.kill(web.pids[0], signal.SIGKILL)
    await until(lambda: web.rows()[0]["restarts"] == 1 and len(web.ready(2)) == 2, "its successor")


@needs_node
async def test_a_node_server_over_a_reload_and_a_killed_manager(rook):
    script = rook.programs / "node" / "http.js"
    web = Managed(rook, app=None, script=str(script), kind="node", cwd=str(script.parent), linger="500ms")
    await web.ok("start", web.file)
    before = web.pids
    async with web.load(keep_alive=4, each=2, lag=2) as client:
        assert len(set(before)) == 2
        old = await asyncio.to_thread(rook.kill_manager)
        await asyncio.to_thread(rook.next_manager, old)
        assert web.pids == before
        requests = sum(row["requests"] for row in web.rows())
        await until(lambda: sum(row["requests"] for row in web.rows()) > requests, "numbers that go on")
        await web.ok("reload", "web")
    assert not set(before) & set(web.pids)
    assert (client.failed, client.stale) == ({}, {})


async def test_ports_of_their_own(rook):
    """Each counts up from the first; a reload stops one before it starts the next."""
    with_port = Managed(rook, app="web:app", bind="127.0.0.1:0", instances=1)
    await with_port.ok("start", with_port.file)
    port = int(with_port.address.rpartition(":")[2])
    await with_port.ok("delete", "web")
    command = [os.sys.executable, "program.py"]
    web = Managed(rook, command=command, balance="port", bind=f"127.0.0.1:{port}", instances=1, linger=None)
    await web.ok("start", web.file)
    before = web.pids
    assert (await get(f"127.0.0.1:{port}"))[0] == 200
    await web.ok("reload", "web")
    assert web.pids != before
    assert (await get(f"127.0.0.1:{port}"))[0] == 200
