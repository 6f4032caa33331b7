"""Channels between real processes: deaths, stops, Node, stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

# ruff: noqa: ASYNC220 - starting a process takes a millisecond, and nothing else runs
from capabilities import DEADLINE, needs_linux, needs_node
from rookery._os import kernel
from rookery.errors import Disconnected, LinkError
from rookery.ipc.channel import Channel
from rookery.ipc.stdio_channel import StdioChannel

pytestmark = pytest.mark.real
PROGRAMS = Path(__file__).parent / "programs"


@contextlib.asynccontextmanager
async def peer(*words, codec="msgpack"):
    here, there = socket.socketpair()
    command = [sys.executable, str(PROGRAMS / "channel_peer.py"), str(there.fileno()), *words]
    with subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.PIPE) as process:
        there.close()
        channel = Channel(here, codec=codec, name="peer")
        try:
            async with asyncio.timeout(DEADLINE):
                assert await channel.receive() == "ready"
            yield process, channel
        finally:
            process.kill()
            await channel.close()


async def test_two_processes_talk():
    async with peer() as (process, channel):
        assert await channel.request({"type": "pid"}) == process.pid
        await channel.send(b"x" * 5_000_000)
        assert len(await channel.receive()) == 5_000_000
        sums = await asyncio.gather(*(channel.request({"type": "add", "a": n, "b": 1}) for n in range(500)))
        assert sums == [n + 1 for n in range(500)]


@pytest.mark.parametrize("waits_for", ["message", "answer", "room", "ping"])
async def test_a_killed_peer_is_an_error_for_whoever_waits(waits_for):
    async with peer(*(["mute"] if waits_for in ("room", "ping") else [])) as (process, channel):

        async def room():
            while True:
                await channel.send("x" * 10_000)

        work = {
            "message": channel.receive,
            "answer": lambda: channel.request({"type": "hang"}, timeout=None),
            "room": room,
            "ping": lambda: channel.ping(timeout=DEADLINE),
        }[waits_for]
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0.05)  # it waits by now, or will meet the end later: both must be told
        process.kill()
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(LinkError):
                await waiting
            assert isinstance(await channel.wait_closed(), LinkError)
        assert not channel.connected


@needs_linux
async def test_a_stopped_peer_costs_patience_not_memory():
    async with peer() as (process, channel):
        process.send_signal(signal.SIGSTOP)
        before = _memory()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while True:
                    await channel.send("x" * 1000)
                    sent += 1
        assert channel._writer._outbox.size < 300_000
        assert sent < 3000
        assert _memory() - before < 20_000_000
        process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(DEADLINE):
            for _ in range(sent):
                await channel.receive()
            assert await channel.request({"type": "pid"}) == process.pid


def _memory():
    facts = kernel.facts(os.getpid())
    return facts.rss_pages * kernel.PAGE_SIZE


@needs_node
async def test_a_node_child_talks_unmodified():
    here, there = socket.socketpair()
    environ = {**os.environ, "NODE_CHANNEL_FD": str(there.fileno()), "NODE_CHANNEL_SERIALIZATION_MODE": "json"}
    with subprocess.Popen(
        ["node", str(PROGRAMS / "channel_node.js")], pass_fds=[there.fileno()], env=environ
    ) as process:
        there.close()
        try:
            async with asyncio.timeout(DEADLINE), Channel(here, codec="node") as channel:
                ready = await channel.receive()
                assert ready == {"type": "ready", "pid": process.pid}
                for value in ["ü", {"deep": [1, None, {"x": False}]}, 0, "x" * 300_000]:
                    await channel.send(value)
                    assert await channel.receive() == {"echo": value}
                assert await asyncio.gather(*(channel.request({"n": n}) for n in range(50))) == [
                    2 * n for n in range(50)
                ]
                await channel.send("handle")
                assert await channel.receive() == "after the handle"
                await channel.send("bye")
                with pytest.raises(Disconnected):
                    await channel.receive()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


async def test_a_child_talks_over_stdin_and_stdout():
    command = [sys.executable, str(PROGRAMS / "channel_stdio.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        try:
            async with asyncio.timeout(DEADLINE):
                channel = StdioChannel(os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno()))
                process.stdout.close()
                process.stdin.close()
                async with channel:
                    assert await channel.receive() == "ready"
                    assert await channel.request({"type": "double", "n": 21}) == 42
            assert process.stderr.read() == b"this is no message\n"
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


async def test_a_shell_is_a_child_that_talks_too():
    script = """while read -r line; do echo "{\\"got\\": $line}"; done"""
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        async with asyncio.timeout(DEADLINE):
            channel = StdioChannel(os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno()))
            process.stdout.close()
            process.stdin.close()
            async with channel:
                await channel.send([1, "two"])
                assert await channel.receive() == {"got": [1, "two"]}
