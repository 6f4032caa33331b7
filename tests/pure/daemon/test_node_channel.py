"""What a Node worker says is read line by line, also where the manager before has read half of one."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from rookery.cluster import stats
from rookery.daemon.manager.node_channel import NodeChannel

READY = json.dumps({"type": "rookery.node", "what": "ready", "pid": 1}).encode() + b"\n"
STATS = {"type": "rookery.node", "what": "stats", "requests": 5, "errors": 1, "inFlight": 2, "connections": 3}
STATS |= {"accepted": 4, "latency": 1000, "histogram": [[3, 5]]}


class Worker:
    def __init__(self):
        ours, self.end = socket.socketpair()
        self.page = stats.Page.make()
        self.words = []
        self.channel = NodeChannel(ours, self.page, self.words.append)

    async def says(self, *parts):
        for part in parts:
            self.end.send(part)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.005)
        return self.words


@pytest.fixture
async def worker():
    worker = Worker()
    yield worker
    worker.channel.close()
    worker.end.close()
    worker.page.close()


async def test_in_pieces(worker):
    assert await worker.says(READY[:7], READY[7:]) == [{"READY": "1"}]


async def test_half_a_line_of_before_is_left_out(worker):
    assert await worker.says(b'"what": "stats"}\n' + READY) == [{"READY": "1"}]


async def test_numbers_go_to_the_page(worker):
    assert await worker.says(json.dumps(STATS).encode() + b"\n") == [{"WATCHDOG": "1"}]
    numbers = worker.page.read()
    assert (numbers.requests, numbers.errors, numbers.in_flight, numbers.connections) == (5, 1, 2, 3)


async def test_what_its_app_says_is_nobodys(worker):
    assert await worker.says(b'{"cmd": "hello"}\n', b"[1]\n", b"nonsense\n", b"\xff\n") == []


async def test_the_end_of_its_channel(worker):
    worker.end.close()
    await asyncio.sleep(0.01)
    assert worker.channel.fd >= 0
