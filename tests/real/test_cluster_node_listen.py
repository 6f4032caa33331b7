"""Unmodified Node servers: whatever they say to listen(), they get the sockets that the parent holds."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from node_workers import NodeWorkers, tcp, unix
from talking import ask

from capabilities import DEADLINE, needs_node

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(3 * DEADLINE)]

PROGRAMS = Path(__file__).parent / "programs" / "node"
WAYS = [
    "port",
    "text",
    "host",
    "backlog",
    "localhost",
    "options",
    "any",
    "nothing",
    "event",
    "right",
    "tried",
    "express",
]


@pytest.mark.parametrize("way", WAYS)
async def test_any_way_to_listen_on_a_port(way):
    async with NodeWorkers(PROGRAMS / "listens.js", args=[way]) as workers:
        first, second = await workers.start(0), await workers.start(1)
        said = json.loads(await ask(workers))
        assert said == {"address": "127.0.0.1", "family": "IPv4", "port": workers.address[1]}
        for worker in (first, second):
            result = await worker.drain()
            assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("way", ["path", "paths", "port"])
async def test_a_unix_socket(way, tmp_path):
    path = tmp_path / "app.sock"
    async with NodeWorkers(PROGRAMS / "listens.js", args=[way, path], sockets=[unix(path)]) as workers:
        old = await workers.start(0)
        said = json.loads(await ask(workers))
        assert said == {"address": "::", "family": "IPv4", "port": 3000} if way == "port" else said == str(path)
        await workers.start(0)
        assert (await old.drain()).returncode == 0
        assert path.exists()
        await ask(workers)


async def test_a_path_is_led_to_a_port_where_there_is_nothing_else(tmp_path):
    async with NodeWorkers(PROGRAMS / "listens.js", args=["path", tmp_path / "app.sock"]) as workers:
        await workers.start()
        assert json.loads(await ask(workers)) == str(tmp_path / "app.sock")
        assert not (tmp_path / "app.sock").exists()


async def test_every_address_of_a_port_has_the_server():
    four = tcp("0.0.0.0")
    port = four.getsockname()[1]
    six = socket.socket(socket.AF_INET6)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.bind(("::", port))
    six.listen()
    for way in ("port", "host", "backlog"):
        async with NodeWorkers(PROGRAMS / "listens.js", args=[way], sockets=[four.dup(), six.dup()]) as workers:
            await workers.start()
            for host in ("127.0.0.1", "::1"):
                assert json.loads(await ask(workers, address=(host, port)))["port"] == port
    four.close()
    six.close()


async def test_a_second_server_for_the_other_address_of_localhost():
    async with NodeWorkers(PROGRAMS / "listens.js", args=["both"]) as workers:
        worker = await workers.start()
        await worker.until(lambda: "second listens" in worker.messages)
        assert json.loads(await ask(workers))["address"] == "127.0.0.1"
    sockets = [tcp(), tcp("::1")]
    async with NodeWorkers(PROGRAMS / "listens.js", args=["both"], sockets=sockets) as workers:
        worker = await workers.start()
        assert json.loads(await ask(workers))["address"] == "127.0.0.1"


async def test_two_servers_find_their_sockets_by_port_or_by_turn():
    for right in (True, False):
        sockets = [tcp(), tcp()]
        ports = [sock.getsockname()[1] for sock in sockets]
        args = [ports[1], ports[0]] if right else [3000, 4000]
        async with NodeWorkers(PROGRAMS / "several.js", args=args, sockets=sockets) as workers:
            worker = await workers.start()
            said = [await ask(workers, address=("127.0.0.1", port)) for port in ports]
            assert said == (["second", "first"] if right else ["first", "second"])
            result = await worker.drain()
            assert (result.returncode, result.stderr) == (0, "")


async def test_one_server_has_all_that_is_bound(tmp_path):
    sockets = [tcp(), unix(tmp_path / "s"), tcp()]
    async with NodeWorkers(PROGRAMS / "http.js", sockets=sockets) as workers:
        await workers.start()
        for sock in sockets:
            assert (await ask(workers, address=sock.getsockname())).isdecimal()


async def test_what_is_not_bound_is_said(tmp_path):
    async with NodeWorkers(PROGRAMS / "several.js", args=[3000, tmp_path / "own", 3000]) as workers:
        worker = await workers.start()
        await worker.until(lambda: "second" in worker.messages)
        assert worker.messages == ["EADDRINUSE", "second"]  # its third server wants what the first one has
        assert await ask(workers) == "first"
        assert await ask(workers, address=str(tmp_path / "own")) == "second"
        result = await worker.drain()
        assert "each worker opens it for itself" in result.stderr


async def test_an_exclusive_server_is_left_alone(tmp_path):
    async with NodeWorkers(PROGRAMS / "listens_alone.js", args=[tmp_path / "own"]) as workers:
        await workers.start()
        assert await ask(workers) == "shared"
        assert await ask(workers, address=str(tmp_path / "own")) == "own"


async def test_a_datagram_socket_is_the_workers_own():
    async with NodeWorkers(PROGRAMS / "datagrams.js") as workers:
        worker = await workers.start()
        assert worker.messages == ["127.0.0.1"]


async def test_the_backlog_stays_what_the_parent_has_set():
    async with NodeWorkers(PROGRAMS / "listens.js", args=["options"], backlog=77) as workers:
        await workers.start()
        assert await ask(workers)
        # Of a socket that listens the kernel shows it in place of the segments that were acknowledged out of order.
        facts = workers.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert struct.unpack_from("I", facts, 28)[0] == 77
