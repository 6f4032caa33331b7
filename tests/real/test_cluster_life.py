"""What a cluster does by itself: respawn, replace, notice who is stuck, scale, count, pass messages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest
from clusters import APPS, cluster, connecting, get, kinds, until
from strict_client import StrictClient
from talking import Talk

from capabilities import DEADLINE, needs_linux
from rookery import BindFailed
from rookery._os import kernel

pytestmark = [pytest.mark.real, pytest.mark.timeout(6 * DEADLINE)]


def pids(made):
    return {row.pid for row in made.status().workers}


async def ready(made, number=2):
    await until(
        lambda: sum(row.ready and row.role == "serving" for row in made.status().workers) == number, "all are ready"
    )


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "leaves with 0"])
async def test_who_leaves_unasked_is_replaced(fault):
    async with cluster() as made:
        first = made.status().workers[0]
        os.kill(first.pid, fault)
        await until(lambda: made.status().workers[0].pid not in (None, first.pid), "the next one")
        await ready(made)
        row = made.status().workers[0]
        assert (row.slot, row.restarts) == (0, 1)
        assert row.id == 3
        (exited,) = [event for event in made.events if event.kind == "worker_exited"]
        assert not exited.wanted


CRASHING = """
import asyncio, os, sys, rookery
policy = rookery.RestartPolicy(max_restarts=rookery.MaxRestarts(2, 60), backoff=rookery.Backoff(cap=0.05))
cluster = rookery.Cluster("web:app", bind="127.0.0.1:0", workers=1, cwd=sys.argv[1], policy=policy)
async def main():
    task = asyncio.ensure_future(cluster.serve())
    while not task.done():
        for row in cluster.status().workers:
            if row.ready and row.pid:
                os.kill(row.pid, 9)
        await asyncio.sleep(0.05)
    task.result()
asyncio.run(main())
"""


async def test_a_crash_loop_is_given_up_and_serve_says_so():
    async with program(CRASHING) as parent:
        _, err = await asyncio.wait_for(parent.communicate(), DEADLINE)
        assert parent.returncode == 1
        assert b"every worker has been given up" in err


async def test_one_who_is_stuck_is_replaced_and_says_where():
    async with cluster(worker_timeout=1.5) as made:
        before = pids(made)
        hanging = asyncio.ensure_future(get(made.addresses[0], "/stuck"))
        event = await until(lambda: next((e for e in made.events if e.kind == "worker_stuck"), None), "stuck")
        assert event.pid in before
        await until(lambda: event.pid not in pids(made), "its end")
        await ready(made)
        with pytest.raises((OSError, EOFError)):
            await hanging
        (exited,) = [e for e in made.events if e.kind == "worker_exited"]
        assert "no sign of life" in exited.reason
        assert {await get(made.addresses[0]) for _ in range(4)}


async def test_one_who_is_stopped_is_replaced_too():
    async with cluster(worker_timeout=1.0) as made:
        first = made.status().workers[0].pid
        os.kill(first, signal.SIGSTOP)
        await until(lambda: first not in pids(made), "its end")
        await ready(made)


async def test_one_who_is_busy_is_not():
    async with cluster(worker_timeout=3.0) as made:
        before = pids(made)
        for _ in range(2):
            assert (await get(made.addresses[0], "/busy"))[0] == 200
        assert pids(made) == before
        assert "worker_stuck" not in kinds(made)


async def test_after_so_many_requests_a_worker_is_replaced_without_a_failure():
    async with cluster(max_requests=50, min_recycle_interval=0.1) as made:
        before = pids(made)
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=3, each=2)
        await until(lambda: kinds(made).count("worker_recycled") >= 3, "recycled")
        await until(lambda: not pids(made) & before, "both replaced")
        await client.stop()
        assert (client.failed, client.stale) == ({}, {})
        assert all(row.restarts == 0 for row in made.status().workers)


@pytest.mark.parametrize(
    ("options", "path", "why"),
    [({"max_lifetime": 1.0}, "/", "has run for"), ({"max_memory": "90M"}, "/large", "MiB of memory")],
    ids=["too old", "too large"],
)
async def test_who_is_too_much_is_replaced(options, path, why):
    async with cluster(**options) as made:
        await get(made.addresses[0], path)
        event = await until(lambda: next((e for e in made.events if e.kind == "worker_recycled"), None), "recycled")
        assert why in event.reason
        await until(lambda: event.pid not in pids(made), "replaced")


async def test_a_request_that_takes_too_long():
    async with cluster(request_timeout=1.0) as made:
        status, body = await get(made.addresses[0], "/forever")
        assert (status, body) == (504, b"the request took too long\n")
        assert (await get(made.addresses[0]))[0] == 200


async def test_a_thread_that_hangs_costs_its_worker():
    async with cluster("wsgi:app", request_timeout=0.5, drain_timeout=1.0) as made:
        assert (await get(made.addresses[0], "/forever"))[0] == 504
        event = await until(lambda: next((e for e in made.events if e.kind == "worker_recycled"), None), "recycled")
        await until(lambda: event.pid not in pids(made), "replaced")


@pytest.mark.parametrize("balance", ["shared", "hash"])
async def test_scaling_fails_no_request(balance):
    async with cluster(balance=balance) as made:
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=4, each=4, lag=2)
        for number in (4, 1, 3, 2):
            assert await made.scale(number) == number
            assert [row.slot for row in made.status().workers if row.role == "serving"] == list(range(number))
        await client.stop()
    assert (client.failed, client.stale) == ({}, {})


async def test_hash_gives_each_worker_its_share():
    async with cluster(balance="hash") as made:
        bodies = [await get(made.addresses[0]) for _ in range(200)]
        counts = sorted(bodies.count(body) for body in set(bodies))
        assert len(counts) == 2
        assert counts[0] > 40


async def test_killing_workers_loses_only_what_they_had():
    async with cluster() as made:
        client = StrictClient(connecting(made.addresses[0]))
        client.start(keep_alive=4, each=4)
        for _ in range(5):
            await ready(made)
            await asyncio.sleep(0.1)  # under load
            os.kill(made.status().workers[0].pid, signal.SIGKILL)
            await until(lambda: made.status().workers[0].pid is None or not made.status().workers[0].ready, "its end")
        await ready(made)
        seen = client.answered.total()
        await until(lambda: client.answered.total() > seen + 50, "answers again")
        await client.stop()
    assert client.failed.total() + client.stale.total() <= 5 * 8  # at most what was open, each time
    assert not any("Refused" in kind for kind in client.failed)


async def test_status_counts():
    async with cluster() as made:
        for path in (*["/"] * 20, "/slow", "/failing", "/wrong"):  # many: a busy machine must not move the median
            await get(made.addresses[0], path, keep=True)
        waiting = asyncio.ensure_future(get(made.addresses[0], "/slow"))
        await until(lambda: made.status().in_flight == 1, "in flight")
        assert (await waiting)[0] == 200
        status = await until(lambda: (now := made.status()).requests == 24 and now.in_flight == 0 and now, "all")
        assert status.errors == 2
        assert 0.15 < status.latency["p99"] < DEADLINE
        assert status.latency["p50"] < status.latency["p99"]
        await until(lambda: all(row.memory and row.cpu is not None for row in made.status().workers), "samples")
        await made.reload()
        assert made.status().requests == 24
        assert all(row.requests == 0 for row in made.status().workers)
        assert made.status().to_dict()["workers"][0]["slot"] == 0


async def test_of_many_requests_each_one_and_each_failure_is_counted():
    """Although only some of them are looked at closely."""

    async def ask_often(address):
        reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
        for number in range(40):
            path = b"/wrong" if number % 10 == 9 else b"/"
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.close()

    async with cluster() as made:
        await asyncio.gather(*(ask_often(made.addresses[0]) for _ in range(40)))
        status = await until(lambda: (now := made.status()).requests == 1600 and now.in_flight == 0 and now, "all")
        assert status.errors == 160
        assert status.latency["p50"] > 0


async def test_messages_and_broadcast():
    made, came = cluster(name="shop", env={"TALK": "1"}), []
    made.on_message(lambda worker, message: came.append((worker.slot, message)))
    async with made:
        await until(lambda: len(came) == 2, "hellos")
        assert sorted((slot, said["id"], said["app"]) for slot, said in came) == [(0, 1, "shop"), (1, 2, "shop")]
        assert await made.broadcast({"type": "news"}) == 2
        assert await made.send(1, {"type": "you"})
        await until(lambda: len(came) == 5, "echoes")
        assert sorted(said["of"]["type"] + str(slot) for slot, said in came[2:]) == ["news0", "news1", "you1"]


async def test_who_reads_no_messages_does_not_hold_up_the_others():
    async with cluster() as made:
        assert await made.broadcast({"type": "news", "text": "x" * 100_000}) == 2
        async with asyncio.timeout(2 * DEADLINE):
            while await made.broadcast({"type": "news", "text": "x" * 100_000}):
                pass  # there is still room for it
        assert (await get(made.addresses[0]))[0] == 200


async def test_websockets_and_streams_of_events_are_ended_in_order():
    websockets = pytest.importorskip("websockets.asyncio.client")
    async with cluster() as made:
        address = made.addresses[0]
        reader, writer = await connecting(address)()
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"data: 1\n\n")
        async with websockets.connect(f"ws://{address}/chat") as chat:
            await chat.send("hello")
            assert await chat.recv() == "hello"
            reload = asyncio.ensure_future(made.reload())
            async with asyncio.timeout(DEADLINE):
                await chat.wait_closed()
            assert chat.close_code == 1001
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
        assert (await reload).replaced == (0, 1)


async def test_a_port_that_is_taken():
    async with cluster() as made:
        for balance in ("shared", "hash"):
            with pytest.raises(BindFailed, match="in use"):
                await cluster(bind=made.addresses[0], balance=balance).start()


async def test_several_places_at_once(tmp_path):
    async with cluster(bind=["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/s"]) as made:
        assert len(made.addresses) == 3
        for address in made.addresses:
            assert (await get(address))[0] == 200


def free_pair():
    """Two ports in a row that nobody has, below those that the system gives away by itself."""
    for port in range(20_000 + os.getpid() % 5_000, 32_000, 2):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no ports")


async def test_programs_with_ports_of_their_own():
    base = free_pair()
    command = [sys.executable, "program.py"]
    async with cluster(command, bind=f"127.0.0.1:{base}", balance="port") as made:
        assert made.addresses == [f"127.0.0.1:{base}", f"127.0.0.1:{base + 1}"]
        for address in made.addresses:
            assert (await get(address))[0] == 200
        assert (await made.reload()).replaced == (0, 1)
        for address in made.addresses:
            assert (await get(address))[0] == 200


@pytest.mark.parametrize("ready_by", ["line:accepting now", "auto"])
async def test_programs_that_say_nothing_of_ours(ready_by):
    async with cluster([sys.executable, "program.py", "{fd}"], ready=ready_by, start_timeout=DEADLINE) as made:
        assert (await get(made.addresses[0]))[0] == 200


async def test_the_app_is_asked_whether_it_is_well():
    async with cluster(ready="http:/version"):
        pass
    with pytest.raises(Exception, match="GET /wrong was answered with 503"):
        await cluster(ready="http:/wrong").start()


PARENT = """
import asyncio, sys, rookery
async def main():
    cluster = rookery.Cluster("web:app", bind="127.0.0.1:0", workers=2, cwd=sys.argv[1], linger=2.0, settle=0.1)
    task = asyncio.ensure_future(cluster.serve())
    shown = None
    while not task.done():
        workers = cluster.status().workers
        rows = sorted(row.pid or 0 for row in workers if row.ready and row.role == "serving")
        if cluster.addresses and rows != shown and len(rows) == len(workers):
            shown = rows
            print(cluster.addresses[0], *rows, flush=True)
        await asyncio.sleep(0.01)
    task.result()
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def program(code):
    """A parent of its own. Its guardian comes to us when it has ended, and goes after the workers."""
    ours = set(kernel.children(os.getpid()))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(APPS), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield parent
    finally:
        if parent.returncode is None:
            parent.kill()
            await parent.wait()

        def has_gone():
            left = set(kernel.children(os.getpid())) - ours
            return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

        await until(has_gone, "the end of all that it started")


async def line_of(parent, condition):
    async with asyncio.timeout(DEADLINE):
        while True:
            words = (await parent.stdout.readline()).decode().split()
            assert words, "it ended"
            if condition(words[1:]):
                return words[0], [int(word) for word in words[1:]]


async def test_signals_to_the_program():
    async with program(PARENT) as parent:
        address, first = await line_of(parent, lambda rows: len(rows) == 2)
        parent.send_signal(signal.SIGTTIN)
        await line_of(parent, lambda rows: len(rows) == 3)
        parent.send_signal(signal.SIGTTOU)
        _, before = await line_of(parent, lambda rows: len(rows) == 2)
        assert before == first
        for number in (signal.SIGHUP, signal.SIGUSR2):
            parent.send_signal(number)
            _, before = await line_of(
                parent, lambda rows, old=before: len(rows) == 2 and not set(map(int, rows)) & {*old}
            )
        host, _, port = address.rpartition(":")
        async with Talk(None, address=(host, int(port))) as talk:
            talk.send("/")
            await talk.answer()
            talk.send("/slow")
            parent.send_signal(signal.SIGTERM)
            assert "200 ok" in (await talk.answer())[0]
        assert await asyncio.wait_for(parent.wait(), DEADLINE) == 0


@needs_linux
async def test_nothing_outlives_a_parent_that_is_killed():
    async with program(PARENT) as parent:
        _, workers = await line_of(parent, lambda rows: len(rows) == 2)
        started = {pid: kernel.start_time(pid) for pid in workers}
        parent.kill()
        await parent.wait()
        await until(lambda: not any(kernel.is_alive(pid, started[pid]) for pid in workers), "the workers' ends")
