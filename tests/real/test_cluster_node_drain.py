"""A Node worker that is told to end: nothing that it has accepted is lost, and nothing holds it for ever."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from node_workers import NodeWorkers
from strict_client import StrictClient
from talking import Talk, ask

from capabilities import DEADLINE, needs_node

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(4 * DEADLINE)]

PROGRAMS = Path(__file__).parent / "programs" / "node"
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "eA==",
}


PATIENT = {"drain_timeout": 3 * DEADLINE, "graceful_timeout": 2 * DEADLINE, "linger": 2 * DEADLINE}
"""Whoever ends within DEADLINE has not waited for any of these."""


async def told(worker):
    """It was told to end, and accepts nothing any more."""
    worker.child.signal(15)
    await worker.until(lambda: "draining" in worker.ours)


async def test_twenty_replacements_under_load_fail_no_request():
    async with NodeWorkers(PROGRAMS / "http.js") as workers:
        running = [await workers.start(0), await workers.start(1)]
        client = StrictClient(workers.connect)
        client.start(keep_alive=4, each=2, lag=4, slow=4)
        for number in range(20):
            slot = number % 2
            new = await workers.start(slot)
            result = await running[slot].drain()
            assert (result.returncode, result.stderr) == (0, "")
            running[slot] = new
        await client.stop()
        assert (dict(client.failed), dict(client.stale)) == ({}, {})
        assert min(client.answered[kind] for kind in ("keep_alive", "each", "lag", "slow")) > 50
        assert len(client.pids) > 5


async def test_answers_say_that_the_connection_closes():
    async with NodeWorkers(PROGRAMS / "answers.js", **PATIENT) as workers:
        worker = await workers.start()
        async with Talk(workers) as idle, Talk(workers) as silent, Talk(workers) as busy, Talk(workers) as insisting:
            idle.send()
            assert "connection: keep-alive" in (await idle.answer())[0]
            insisting.send()
            await insisting.answer()
            busy.send("/slow")
            await worker.until(lambda: worker.messages)
            await told(worker)
            head, body = await busy.answer()
            assert "connection: close" in head
            assert body == "slow"
            silent.send()
            assert "connection: close" in (await silent.answer())[0]
            idle.send("/sets")
            assert "connection: close" in (await idle.answer())[0]
            insisting.send("/insists")
            assert "connection: close" in (await insisting.answer())[0]
            # It is the client that closes.
            for talk in (idle, silent, busy, insisting):
                talk.writer.close()
            result = await worker.ended()
        assert (result.returncode, result.stderr) == (0, "")
        assert worker.ours["drained"][0]["left"] == 0


async def test_idle_and_silent_connections_are_closed_after_the_linger_and_no_request_is_cut():
    async with NodeWorkers(PROGRAMS / "answers.js", linger=0.4) as workers:
        worker = await workers.start()
        async with Talk(workers) as idle, Talk(workers) as silent, Talk(workers) as half:
            idle.send()
            await idle.answer()
            half.send()
            await half.answer()
            half.writer.write(b"GET / HTTP/1.1\r\nHo")
            await ask(workers, address=workers.address)  # the silent one was accepted before this
            began = time.monotonic()
            await told(worker)
            assert await idle.rest() == b""
            assert time.monotonic() - began >= 0.3
            assert await silent.rest() == b""
            half.writer.write(b"st: x\r\n\r\n")
            assert "connection: close" in (await half.answer())[0]
            half.writer.close()
            assert (await worker.ended()).returncode == 0


async def test_pipelined_requests_are_all_answered():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            for _ in range(3):
                talk.send("/slow")
            await worker.until(lambda: len(worker.messages) == 3)
            await told(worker)
            heads = [(await talk.answer())[0] for _ in range(3)]
            assert ["connection: close" in head for head in heads] == [False, False, True]
            talk.send("/slow")
            talk.send("/three")
            heads = [(await talk.answer())[0] for _ in range(2)]
            assert ["connection: close" in head for head in heads] == [False, True]


async def test_a_body_that_nobody_reads_does_not_cut_the_answer():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            await ask(workers)
            await told(worker)
            size = 4_000_000
            talk.writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            head, body = await talk.answer()
            assert body == "early"
            assert "connection: close" in head
            for _ in range(size // 100_000):
                talk.writer.write(b"x" * 100_000)
                await talk.writer.drain()
            talk.send()
            assert (await talk.answer())[1] == "ok"


async def test_a_websocket_is_told_and_events_end():
    async with NodeWorkers(PROGRAMS / "answers.js", drain_timeout=3 * DEADLINE) as workers:
        worker = await workers.start()
        async with Talk(workers) as web, Talk(workers) as events:
            web.send(**WEBSOCKET)
            assert "101 switching" in await web.head()
            events.send("/events")
            await events.head()
            await told(worker)
            assert await web.rest() == b"\x88\x02\x03\xe9"
            assert (await events.rest()).endswith(b"0\r\n\r\n")
            result = await worker.ended()  # within DEADLINE: before the limit
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("what", ["raw", "hang", "tunnel"])
async def test_nobody_holds_it_beyond_the_limit(what):
    program = PROGRAMS / ("raw.js" if what == "raw" else "answers.js")
    async with NodeWorkers(program, drain_timeout=2.0, linger=0.2) as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            if what == "hang":
                talk.send("/hang")
                await ask(workers)
            elif what == "tunnel":
                talk.send(**{**WEBSOCKET, "Upgrade": "other"})
                await talk.head()
            else:
                talk.writer.write(b"hello")
                assert await talk.reader.readexactly(5) == b"hello"
            began = time.monotonic()
            await told(worker)
            if what == "raw":
                talk.writer.write(b"still")
                assert await talk.reader.readexactly(5) == b"still"
            if what != "hang":
                assert await talk.rest() == b""
                talk.writer.close()
            result = await worker.ended()
        assert result.returncode == 0
        assert time.monotonic() - began > 0.9
        assert worker.ours["drained"][0]["forced"] is (what == "hang")


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("exits", 7, ["asked", "handler"]),
        ("closes", 0, ["asked", "handler", "closed undefined"]),
        ("int", 0, ["asked", "int"]),
        ("natural", 0, ["asked", "handler"]),
        ("forgets", 0, ["asked", "handler"]),
        ("again", -15, ["asked", "handler"]),
        ("removes", 0, ["asked"]),
        ("watches", 0, ["asked"]),
        ("busy", 0, ["asked"]),
    ],
)
async def test_an_app_that_ends_in_its_own_way_answers_first(way, code, said):
    async with NodeWorkers(PROGRAMS / "handlers.js", args=[way], **PATIENT) as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            talk.send()
            await worker.until(lambda: worker.messages)
            worker.child.signal(15)
            worker.child.signal(15)
            body = (await talk.answer())[1]
            assert (body, worker.messages) == ("slow", ["asked"])
            talk.writer.close()
            result = await worker.ended()
        assert (result.returncode, result.stderr) == (code, "")
        assert worker.messages == said


async def test_it_goes_on_without_its_parent_where_that_is_wanted():
    async with NodeWorkers(PROGRAMS / "answers.js", options={"orphan": "serve"}) as workers:
        worker = await workers.start()
        worker.channel.abort()
        for _ in range(3):
            async with Talk(workers) as talk:
                talk.send("/slow")  # it sends a message, which nobody hears
                assert "connection: keep-alive" in (await talk.answer())[0]
        assert (await worker.drain()).returncode == 0


async def test_it_drains_when_its_parent_is_gone():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            talk.send("/slow")
            await worker.until(lambda: worker.messages)
            worker.channel.abort()
            assert (await talk.answer())[1] == "slow"
        assert (await worker.ended()).returncode == 0


async def test_the_parent_may_ask_by_a_message():
    from rookery.cluster.node.words import DRAIN

    async with NodeWorkers(PROGRAMS / "says_ready.js") as workers:
        worker = await workers.start()
        await worker.channel.send(DRAIN)
        assert (await worker.ended()).returncode == 0
        assert worker.messages == ["ready"]


async def test_a_socket_for_each_slot_passes_on_its_queue():
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", 0))
    one.listen(128)
    async with NodeWorkers(PROGRAMS / "http.js", sockets=[one]) as workers:
        old = await workers.start()
        client = StrictClient(workers.connect)
        client.start(keep_alive=2, each=2, lag=4, slow=2)
        for _ in range(4):
            # Nobody accepts in between: what comes waits in the socket.
            await old.drain()
            old = await workers.start()
        await client.stop()
        assert (dict(client.failed), dict(client.stale)) == ({}, {})


async def test_who_comes_while_it_drains_is_left_to_the_next_worker():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        async with Talk(workers) as talk:
            talk.send("/slow")
            await worker.until(lambda: worker.messages)
            await told(worker)
            assert (await talk.answer())[1] == "slow"
            async with Talk(workers) as late:
                late.send()
                talk.writer.close()
                await worker.ended()
                await workers.start()
                assert (await late.answer())[1] == "ok"


async def test_a_word_to_end_before_it_listens():
    async with NodeWorkers(PROGRAMS / "listens_late.js") as workers:
        worker = await workers.start(ready=False)
        await worker.until(lambda: worker.messages)
        result = await worker.drain()
        assert (result.returncode, result.stdout, result.stderr) == (0, "listening\n", "")


async def test_the_last_worker_accepts_what_waits_in_the_queue():
    async with NodeWorkers(PROGRAMS / "answers.js") as workers:
        worker = await workers.start()
        worker.child.signal(signal.SIGSTOP)
        async with AsyncExitStack() as stack:
            talks = [await stack.enter_async_context(Talk(workers)) for _ in range(50)]
            for talk in talks[::2]:
                talk.send()
            worker.child.signal(signal.SIGTERM)
            for sock in workers.sockets:
                sock.close()
            worker.child.signal(signal.SIGCONT)
            for number, talk in enumerate(talks):
                if number % 2:
                    talk.send()
                assert (await talk.answer())[1] == "ok"
                talk.writer.close()
            assert (await worker.ended()).returncode == 0
