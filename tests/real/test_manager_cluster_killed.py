"""The manager or the keeper of a clustered app is killed under load: no request fails, and what was begun goes on."""

from __future__ import annotations

import asyncio

import pytest
from clusters import get, until
from managed import KINDS, Managed

from capabilities import DEADLINE
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(6 * DEADLINE)]


async def killed(rook, what):
    """kill -9 of manager or keeper; return when the next manager is in charge."""
    ping = await asyncio.to_thread(rook.ping)
    await asyncio.to_thread(rook.kill, ping["pid" if what == "manager" else "keeper_pid"])
    await asyncio.to_thread(rook.next_manager, ping["pid"])


@pytest.mark.parametrize("what", ["manager", "keeper"])
@pytest.mark.parametrize("kind", ["asgi", "hash", "round_robin", "program"])
async def test_no_request_fails_and_a_reload_afterwards_works(rook, kind, what):
    web = Managed(rook, **KINDS[kind])
    await web.ok("start", web.file)
    before = web.rows()
    async with web.load() as client:
        await killed(rook, what)
        after = web.rows()
        assert [row["pid"] for row in after] == [row["pid"] for row in before]
        assert [row["bind"] for row in after] == [row["bind"] for row in before]
        assert all(row["ready"] for row in after)
        code, outcomes = await web.result("reload", "web")
        assert (code, [one["did"] for one in outcomes]) == (0, ["reloaded", "reloaded"])
        assert web.rows()[0]["bind"] == before[0]["bind"]
    assert (client.failed, client.stale) == ({}, {})


@pytest.mark.parametrize("is_together", [False, True], ids=["alone", "with the manager"])
async def test_who_accepts_is_killed(rook, is_together):
    """Nobody accepts for a moment; who comes waits in the queue."""
    web = Managed(rook, **KINDS["round_robin"])
    await web.ok("start", web.file)
    before = web.pids
    async with web.load(keep_alive=8) as client:
        first = acceptor(rook)
        old = rook.ping()["pid"]
        rook.kill(first)
        if is_together:
            rook.kill(old)
        await until(lambda: acceptor(rook) not in (None, first), "the next one who accepts")
        assert (await get(web.address))[0] == 200
        if is_together:
            await asyncio.to_thread(rook.next_manager, old)
    assert (client.failed, client.stale) == ({}, {})
    assert web.pids == before
    await web.ok("stop", "web")
    assert acceptor(rook) is None


def acceptor(rook):
    return next((pid for pid, command in rook.processes().items() if "web accepts" in command), None)


async def test_the_numbers_are_read_on(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    for _ in range(10):
        await get(web.address)
    await killed(rook, "manager")
    assert sum(row["requests"] for row in web.rows()) == 10
    await get(web.address)
    assert sum(row["requests"] for row in web.rows()) == 11


async def test_both_are_killed(rook):
    """Nobody has the sockets any more but the workers: they are replaced by some at new ones, of the same port."""
    web = Managed(rook, app="web:app", bind="127.0.0.1:0")
    await web.ok("start", web.file)
    web.describe(bind=web.address)
    await web.ok("start", web.file)
    before = web.pids
    ping = rook.ping()
    rook.kill(ping["keeper_pid"])
    rook.kill(ping["pid"])
    await web.ok("list")
    wait_until(lambda: (rows := web.rows()) and not set(before) & {row["pid"] for row in rows}, DEADLINE, "new ones")
    assert len(web.ready(2)) == 2
    assert (await get(web.address))[0] == 200


@pytest.mark.parametrize("what", ["manager", "keeper"])
@pytest.mark.parametrize(
    ("moment", "balance"),
    [("rising", "shared"), ("draining", "shared"), ("between", "shared"), ("between", "round_robin")],
)
async def test_killed_in_the_middle_of_a_reload(rook, moment, balance, what):
    web = Managed(rook, app="web:app", env={"VERSION": "1"}, instances=3, balance=balance)
    await web.ok("start", web.file)
    before = web.pids
    web.describe(env={"VERSION": "2"})
    async with web.load() as client:
        reload = asyncio.ensure_future(web.run("reload", web.file))
        if moment == "between":
            await until(lambda: web.pids[0] != before[0], "the first one's place")
        else:
            await until(lambda: moment in roles(rook), f"one that is {moment}")
        await killed(rook, what)
        await reload
        await until(lambda: not set(before) & set(web.pids), "all replaced")
        await until(lambda: not roles(rook), "the end of the reload")
        assert len(web.ready(3)) == 3
        assert {await get(web.address, "/version") for _ in range(6)} == {(200, b"2")}
    assert (client.failed, client.stale) == ({}, {})
    assert len([one for one in rook.processes().values() if "web:app" in one]) == 3


def roles(rook):
    return {one["role"] for detail in rook.get("/v1/details?select=web") for one in detail["beside"]}
