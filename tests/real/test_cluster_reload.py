"""A reload fails no request, whatever kind of app it is; one that does not work out leaves the old workers serving."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess

import pytest
from clusters import cluster, connecting, get, kinds, until
from strict_client import StrictClient

from capabilities import DEADLINE
from rookery import ReloadFailed, WorkerNotReady

pytestmark = [pytest.mark.real, pytest.mark.timeout(6 * DEADLINE)]

KINDS = [
    pytest.param("web:app", {}, id="asgi"),
    pytest.param("web:make", {"factory": True}, id="factory"),
    pytest.param("web:app", {"balance": "hash"}, id="hash"),
    pytest.param("web:app", {"bind": "[::1]:0"}, id="IPv6"),
    pytest.param("web:app", {"max_surge": 2}, id="both at once"),
    pytest.param("wsgi:app", {}, id="wsgi"),
    pytest.param("links:streams", {"kind": "connection"}, id="streams"),
    pytest.param("links:sockets", {"kind": "connection"}, id="sockets"),
    pytest.param("links:threads", {"kind": "connection"}, id="threads"),
    pytest.param("links:accepting", {"kind": "socket"}, id="socket"),
    pytest.param("links:serving", {"kind": "socket"}, id="async socket"),
    pytest.param(["python", "program.py", "{fd}"], {}, id="program"),
]


@pytest.mark.parametrize(("app", "options"), KINDS)
async def test_no_request_fails(app, options, monkeypatch):
    monkeypatch.setenv("PATH", f"{os.path.dirname(os.sys.executable)}:{os.environ['PATH']}")
    async with cluster(app, **options) as made:
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=4, each=2, lag=2, slow=2)
        await until(lambda: client.answered.total() > 50, "answers")
        before = {row.pid for row in made.status().workers}
        for version in (2, 3):
            result = await made.reload()
            assert (sorted(result.replaced), result.version) == ([0, 1], version)
        after = {row.pid for row in made.status().workers}
        seen = client.answered.total()
        await until(lambda: client.answered.total() > seen + 50, "answers of the new ones")
        await client.stop()
    assert not before & after
    assert (client.failed, client.stale) == ({}, {})


async def test_over_a_unix_socket(tmp_path):
    path = tmp_path / "web.sock"
    async with cluster(bind=f"unix:{path}", unix_mode=0o660) as made:
        assert path.stat().st_mode & 0o777 == 0o660
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=4, each=2, lag=2)
        await until(lambda: client.answered.total() > 50, "answers")
        await made.reload()
        await client.stop()
    assert (client.failed, client.stale) == ({}, {})
    assert not path.exists()


@pytest.fixture
def certificate(tmp_path):
    """(certificate, key) for localhost, signed by themselves."""
    made = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-out", made[0], "-keyout", made[1]], check=True, capture_output=True)
    return made


async def test_over_tls(certificate):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with cluster(ssl={"certfile": certificate[0], "keyfile": certificate[1]}) as made:
        client = StrictClient(connecting(made.addresses[0], ssl=context))
        client.start(keep_alive=3, each=2, slow=2)
        await until(lambda: client.answered.total() > 20, "answers")
        await made.reload()
        await client.stop()
    assert (client.failed, client.stale) == ({}, {})


@pytest.mark.parametrize(
    ("fault", "options", "why"),
    [
        pytest.param("import", {}, "this version is broken", id="cannot be imported"),
        pytest.param("startup", {}, "no database", id="its startup fails"),
        pytest.param("never ready", {"start_timeout": 1.0}, "waiting for the database", id="never ready"),
        pytest.param("crash after ready", {"settle": 1.5}, "exited with code 7", id="crashes right after ready"),
    ],
)
async def test_a_version_that_does_not_work(fault, options, why):
    async with cluster(**options) as made:
        before = {row.pid for row in made.status().workers}
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=4, each=2)
        with pytest.raises(ReloadFailed) as raised:
            await made.reload(env={"FAULT": fault})
        assert raised.value.slot == 0
        assert why in str(raised.value)
        assert {row.pid for row in made.status().workers} == before
        await client.stop()
        if fault != "crash after ready":  # it was in service, and has taken the connections that it had along
            assert (client.failed, client.stale) == ({}, {})
        assert "reload_failed" in kinds(made)
        # The fault was that of the version that was given up: the next reload is free of it.
        assert (await made.reload()).replaced == (0, 1)


async def test_a_start_that_does_not_work_leaves_nothing():
    made = cluster(env={"FAULT": "import"})
    with pytest.raises(WorkerNotReady, match="this version is broken"):
        await made.start()
    assert made.addresses == []


async def test_reloads_at_once_are_one():
    async with cluster() as made:
        first, second = await asyncio.gather(made.reload(), made.reload())
        assert first is second
        assert kinds(made).count("reload_started") == 1


async def test_a_new_environment_stays():
    async with cluster(env={"VERSION": "1"}) as made:
        assert await get(made.addresses[0], "/version") == (200, b"1")
        await made.reload(env={"VERSION": "2"})
        assert await get(made.addresses[0], "/version") == (200, b"2")
        await made.reload()
        assert {await get(made.addresses[0], "/version") for _ in range(4)} == {(200, b"2")}


async def test_a_client_that_never_ends_cannot_block_it():
    async with cluster(drain_timeout=1.0) as made:
        reader, writer = await connecting(made.addresses[0])()
        writer.write(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: made.status().in_flight == 1, "the request")
        async with asyncio.timeout(DEADLINE):
            await made.reload()
            assert b"500" in await reader.readline()  # it is told, not left alone
        writer.close()


async def test_a_stop_in_the_middle_of_a_reload():
    made = cluster(start_timeout=DEADLINE)
    await made.start()
    reload = asyncio.ensure_future(made.reload(env={"FAULT": "never ready"}))
    await until(lambda: any(row.role == "rising" for row in made.status().workers), "the new one")
    await made.stop()
    assert made.status().workers == ()
    with pytest.raises((asyncio.CancelledError, Exception)):
        await reload
