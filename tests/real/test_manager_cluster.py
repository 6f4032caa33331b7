"""Clustered apps under the manager: started, reloaded, scaled and stopped, and no request fails."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from clusters import connecting, get
from managed import KINDS, Managed

from capabilities import DEADLINE

pytestmark = [pytest.mark.real, pytest.mark.timeout(6 * DEADLINE)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reload_fails_no_request(rook, kind):
    web = Managed(rook, **KINDS[kind])
    await web.ok("start", web.file)
    before = web.pids
    async with web.load() as client:
        code, outcomes = await web.result("reload", "web")
    assert (code, [one["did"] for one in outcomes]) == (0, ["reloaded", "reloaded"])
    assert not set(before) & set(web.pids)
    assert (client.failed, client.stale) == ({}, {})


async def test_workers_know_their_place_and_are_counted(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    for _ in range(10):
        await get(web.address, "/")
    await get(web.address, "/error")
    rows = web.rows()
    assert [row["index"] for row in rows] == [0, 1]
    assert {row["bind"] for row in rows} == {web.address}
    assert sum(row["requests"] for row in rows) == 11
    assert all(row["ready"] and row["heartbeat"] < 5 for row in rows)
    assert any(row["latency"]["p50"] > 0 for row in rows if row["latency"])


async def test_scaled_while_it_serves(rook):
    web = Managed(rook, app="web:app", balance="hash")
    await web.ok("start", web.file)
    async with web.load() as client:
        await web.ok("scale", "web", "4")
        assert len(web.ready(4)) == 4
        await web.ok("scale", "web", "1")
        assert len(web.ready(1)) == 1
    assert (client.failed, client.stale) == ({}, {})


async def test_a_stop_drains_and_then_refuses(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    address = web.address
    slow = asyncio.ensure_future(get(address, "/slow"))
    await asyncio.sleep(0.05)
    await web.ok("stop", "web")
    assert (await slow)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await connecting(address)()
    await web.ok("start", "web")
    assert (await get(web.address))[0] == 200


@pytest.mark.parametrize(
    ("fault", "options", "why"),
    [
        pytest.param("import", {}, "this version is broken", id="cannot be imported"),
        pytest.param("never ready", {"start_timeout": "1s"}, "was not ready within 1 s", id="never ready"),
        pytest.param("crash after ready", {}, "exited with code 7", id="crashes right after ready"),
    ],
)
async def test_a_version_that_does_not_work(rook, fault, options, why):
    web = Managed(rook, app="web:app", **options)
    await web.ok("start", web.file)
    before = web.pids
    async with web.load(keep_alive=4, each=2) as client:
        web.describe(env={"FAULT": fault})
        code, outcomes = await web.result("reload", web.file)
        assert (code, [one["did"] for one in outcomes]) == (1, ["failed", "kept"])
        told = outcomes[0]
        assert why in told["reason"] + "\n".join(told["exit"]["stderr"])
        assert web.pids == before
    if fault != "crash after ready":  # it was in service, and has taken the connections that it had along
        assert (client.failed, client.stale) == ({}, {})
    # The fault was that of the version that was given up: the app is what it was.
    code, outcomes = await web.result("reload", "web")
    assert (code, [one["did"] for one in outcomes]) == (0, ["reloaded", "reloaded"])


async def test_who_accepts_is_of_the_version_that_serves(rook):
    """A version that is given up takes its acceptor along; one that serves has its own, and nobody is left."""
    web = Managed(rook, app="web:app", balance="least_connections", env={"VERSION": "1"})
    await web.ok("start", web.file)
    async with web.load() as client:
        web.describe(env={"FAULT": "import"})
        assert (await web.run("reload", web.file)).code == 1
        assert await get(web.address, "/version") == (200, b"1")
        web.describe(env={"VERSION": "2"})
        await web.ok("reload", web.file)
        assert await get(web.address, "/version") == (200, b"2")
    assert (client.failed, client.stale) == ({}, {})
    assert len([one for one in rook.processes().values() if "web accepts" in one]) == 1
    await web.ok("delete", "web")
    assert not [one for one in rook.processes().values() if "web accepts" in one]


async def test_another_place_to_listen(rook, tmp_path):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    before = web.address
    path = tmp_path / "web.sock"
    web.describe(bind=[f"unix:{path}", "127.0.0.1:0"], env={"VERSION": "2"})
    await web.ok("start", web.file)
    sock, tcp = web.address.split(",")
    assert tcp == before  # what was there before is kept
    assert [await get(address, "/version") for address in (sock, tcp)] == [(200, b"2")] * 2
    web.describe(bind=f"unix:{path}")
    await web.ok("start", web.file)
    assert await get(f"unix:{path}", "/version") == (200, b"2")
    with pytest.raises(ConnectionRefusedError):
        await connecting(before)()
    await web.ok("delete", "web")
    assert not path.exists()


async def test_a_socket_file_that_was_removed_is_made_anew_with_the_next_description(rook, tmp_path):
    path = tmp_path / "web.sock"
    web = Managed(rook, app="web:app", bind=f"unix:{path}")
    await web.ok("start", web.file)
    path.unlink()
    web.describe(env={"VERSION": "2"})
    await web.ok("reload", web.file)
    assert await get(f"unix:{path}", "/version") == (200, b"2")


async def test_what_would_lose_requests_is_refused(rook):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = Managed(rook, app="web:app", bind=f"127.0.0.1:{port}")
    await web.ok("start", web.file)
    before = web.pids
    web.describe(balance="hash")
    ran = await web.run("reload", web.file)
    assert (ran.code, "cannot go from balance 'shared' to 'hash' while it serves" in ran.err) == (2, True)
    assert web.pids == before


async def test_more_instances_than_ports(rook):
    rook.ok(
        "start", "-n", "web", "-i", "2", "--bind", "127.0.0.1:65534", "--balance", "port", "--wait", "none",
        "--", sys.executable, "-c", "import time; time.sleep(60)",
    )  # fmt: skip
    ran = rook("scale", "web", "4")
    assert ran.code == 2, ran.err
    assert len(rook.rows("web")) == 2


async def test_a_place_that_somebody_has(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    rook.ok("start", "web:app", "--name", "other", "--bind", "127.0.0.1:0", "--cwd", web.options["cwd"])
    taken = rook.row("other")["bind"]
    web.describe(bind=taken)
    code, outcomes = await web.result("start", web.file)
    assert code == 1
    assert f"cannot listen on {taken}" in outcomes[0]["reason"]
    assert (await get(web.address))[0] == 200


async def test_reloads_at_once_are_one(rook):
    web = Managed(rook, app="web:app")
    await web.ok("start", web.file)
    (_, first), (_, second) = await asyncio.gather(web.result("reload", "web"), web.result("reload", "web"))
    assert [one["pid"] for one in first] == [one["pid"] for one in second] == web.pids
    assert [one["type"] for one in rook.get("/v1/events")].count("reload_started") == 1


async def test_an_app_without_sockets_is_reloaded_one_after_the_other(rook):
    rook.ok("start", rook.programs / "idle.py", "--name", "idle", "-i", "2", "--min-uptime", "200ms")
    before = [row["pid"] for row in rook.rows("idle")]
    rook.ok("reload", "idle")
    assert not set(before) & {row["pid"] for row in rook.rows("idle")}
    told = [one["index"] for one in rook.get("/v1/events") if one["type"] == "state"][-8:]
    assert told == [0, 0, 0, 0, 1, 1, 1, 1]  # stopping, stopped, starting, running
