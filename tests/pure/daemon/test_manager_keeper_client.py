"""The manager's view of the keeper: exits, epochs, acknowledgements."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest

from rookery import errors
from rookery._base.framing import FrameBuffer, frame
from rookery.daemon.manager.keeper_client import KeeperClient
from rookery.process.spec import SpawnSpec


def child(key="4", generation=1, **fields):
    plain = {"key": key, "generation": generation, "pid": 4711, "start_time": 5, "started_at": 9.0}
    return {**plain, "returncode": None, "ended_at": None, **fields}


ENDED = {"returncode": 3, "ended_at": 10.0}


class PaperKeeper:
    """Answers at once from a table; events are sent by the test. asked: all requests."""

    def __init__(self, sock):
        self.sock, self.buffer, self.asked = sock, FrameBuffer(), []
        self.answers = {
            "hello": {"pid": os.getpid(), "scope": "0badcafe"},
            "lease": {"epoch": 8},
            "spawn": {"child": child()},
        }
        self.before = {}
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def _readable(self):
        data = self.sock.recv(65536)
        if not data:
            self.close()
        for payload in self.buffer.feed(data):
            request = json.loads(payload)
            self.asked.append(request)
            for event in self.before.pop(request["verb"], []):
                self.tell(**event)
            self.tell(**{"ok": True, **self.answers.get(request["verb"], {}), "id": request["id"]})

    def tell(self, **message):
        self.sock.sendall(frame(json.dumps(message).encode()))

    def verbs(self, *names):
        return [(one["verb"], one.get("key"), one.get("generation")) for one in self.asked if one["verb"] in names]

    def close(self):
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()


@pytest.fixture
async def keeper():
    ours, theirs = socket.socketpair()
    keeper = PaperKeeper(theirs)
    keeper.lost, keeper.terminated = [], []
    client = KeeperClient(ours, on_lost=lambda: keeper.lost.append(1), on_terminate=lambda: keeper.terminated.append(1))
    keeper.client = client
    await client.take_over(7)
    yield keeper
    client.close()
    if keeper.sock.fileno() >= 0:
        keeper.close()


SPEC = SpawnSpec(("/bin/x",))


async def test_taking_over(keeper):
    assert keeper.asked[1]["after"] == 7
    assert (keeper.client.epoch, keeper.client.scope, keeper.client.pid) == (8, "0badcafe", os.getpid())
    assert keeper.client.identity[1] > 0


async def test_an_exit_reaches_its_handle(keeper):
    handle = await keeper.client.spawn(SPEC, "4", 1)
    assert (handle.pid, handle.start_time) == (4711, 5)
    waiting = asyncio.ensure_future(handle.wait())
    keeper.tell(event="exit", child=child(**ENDED))
    assert (await asyncio.wait_for(waiting, 10)).code == 3
    assert handle.signal(15) is False


async def test_an_exit_that_is_told_before_the_answer_to_the_spawn(keeper):
    keeper.before["spawn"] = [{"event": "exit", "child": child(**ENDED)}]
    handle = await keeper.client.spawn(SPEC, "4", 1)
    assert (await asyncio.wait_for(handle.wait(), 10)).code == 3


async def test_an_exit_between_the_survey_and_the_handle(keeper):
    keeper.answers["list"] = {"children": [child()], "stored": [], "collector": None}
    (found,) = (await keeper.client.survey()).children
    keeper.tell(event="exit", child=child(**ENDED))
    await keeper.client.survey()
    assert (await asyncio.wait_for(keeper.client.handle(found).wait(), 10)).code == 3


async def test_an_exit_of_another_generation_is_not_taken_for_it(keeper):
    handle = await keeper.client.spawn(SPEC, "4", 1)
    keeper.tell(event="exit", child=child(generation=2, **ENDED))
    await keeper.client._link.call("hello")
    assert not handle.exit.done()


async def test_signals_that_killed_have_names(keeper):
    handle = await keeper.client.spawn(SPEC, "4", 1)
    keeper.tell(event="exit", child=child(returncode=-9, ended_at=1.0))
    assert (await asyncio.wait_for(handle.wait(), 10)).signal_name == "SIGKILL"


async def test_an_exit_is_acknowledged_when_it_is_on_disk_and_not_before(keeper):
    client = keeper.client
    handle = await client.spawn(SPEC, "4", 1)
    client.snapshot_taken()  # a write that began before the exit was noted
    handle.close()
    client.snapshot_saved()
    await client._link.call("hello")
    assert keeper.verbs("ack") == []
    client.snapshot_taken()
    await client._link.call("hello")
    assert keeper.verbs("ack") == []
    client.snapshot_saved()
    client.snapshot_saved()
    await client._link.call("hello")
    assert keeper.verbs("ack") == [("ack", "4", 1)]


async def test_a_write_that_failed_acknowledges_with_the_next_one(keeper):
    client = keeper.client
    (await client.spawn(SPEC, "4", 1)).close()
    client.snapshot_taken()  # and the disk is full
    keeper.answers["spawn"] = {"child": child(generation=2)}
    (await client.spawn(SPEC, "4", 2)).close()
    client.snapshot_taken()
    client.snapshot_saved()
    await client._link.call("hello")
    assert keeper.verbs("ack") == [("ack", "4", 1), ("ack", "4", 2)]


async def test_a_lost_lease_is_not_ours_to_write_for(keeper):
    keeper.tell(event="lease_lost", epoch=9)
    with pytest.raises(errors.LinkError):
        await keeper.client._link.call("hello")
    assert keeper.client.is_superseded
    assert keeper.lost == [1]


async def test_a_lost_keeper_still_leaves_the_state_to_us(keeper):
    """The lock of the home is ours until we leave, so that nobody else writes."""
    keeper.close()
    with pytest.raises(errors.ResourcesExhausted, match="the keeper"):
        await keeper.client.spawn(SPEC, "4", 1)
    assert keeper.lost == [1]
    assert not keeper.client.is_superseded


async def test_being_told_to_end(keeper):
    keeper.tell(event="terminate")
    await keeper.client._link.call("hello")
    assert keeper.terminated == [1]


async def test_what_cannot_be_started_is_what_the_keeper_says(keeper):
    keeper.answers["spawn"] = {"ok": False, "error": {"type": "CommandNotFound", "argv": ["/bin/x"], "near": []}}
    with pytest.raises(errors.CommandNotFound):
        await keeper.client.spawn(SPEC, "4", 1)
