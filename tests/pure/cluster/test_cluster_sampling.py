"""Which requests of a worker are looked at closely, and how failures are counted without looking."""

from __future__ import annotations

import asyncio
import logging
from types import ModuleType, SimpleNamespace

import pytest

from rookery.cluster.runner import failures
from rookery.cluster.runner.sampling import FEW, Sampling
from rookery.cluster.runner.streams import end_streams


class Connection:
    def __init__(self):
        self.app = None
        self.cycle = None


def looked_at(connections):
    return sum(one.app == "measured" for one in connections)


def made(sampling, count):
    connections = {Connection() for _ in range(count)}
    for one in connections:
        sampling.begin(one)
    return connections


def test_where_there_are_few_requests_all_are_looked_at():
    sampling = Sampling("plain", "measured", always=False)
    connections = made(sampling, 100)
    sampling.turn(connections, FEW)
    sampling.turn(connections, 2 * FEW)
    assert looked_at(connections | made(sampling, 50)) == 150


def test_where_there_are_many_it_is_a_few_connections_and_others_in_each_beat():
    sampling = Sampling("plain", "measured", always=False)
    connections = made(sampling, 100)
    seen = set()
    for beat in range(1, 31):
        sampling.turn(connections, beat * 1000)
        assert looked_at(connections) == 3
        seen |= {one for one in connections if one.app == "measured"}
    assert len(seen) > 20


def test_of_many_new_connections_the_first_ones():
    sampling = Sampling("plain", "measured", always=False)
    sampling.turn(set(), 1000)
    connections = made(sampling, 500)
    assert looked_at(connections) == 10
    sampling.turn(set(), 2000)
    assert looked_at(made(sampling, 500)) == 10


def test_when_it_becomes_quiet_all_are_looked_at_again():
    sampling = Sampling("plain", "measured", always=False)
    connections = made(sampling, 20)
    sampling.turn(connections, 1000)
    sampling.turn(connections, 1001)
    assert looked_at(connections | made(sampling, 20)) == 40


def test_a_worker_that_leaves_looks_at_all_to_the_end():
    sampling = Sampling("plain", "measured", always=False)
    connections = made(sampling, 20)
    sampling.turn(connections, 1000)
    sampling.all(connections)
    sampling.turn(connections, 5000)
    assert looked_at(connections | made(sampling, 5)) == 25


def test_a_websocket_keeps_what_it_began_with():
    sampling = Sampling("plain", "measured", always=False)
    websocket = SimpleNamespace(app="its own")
    sampling.turn([websocket], 1000)
    assert websocket.app == "its own"


@pytest.fixture
def http(monkeypatch):
    """A protocol of a server as uvicorn is one, with its table of lines; how often a failure was told."""
    module = ModuleType("http_of_a_test")
    module.LINES = {status: b"%d" % status for status in range(100, 600)}
    protocol = type("Protocol", (), {"__module__": module.__name__})
    monkeypatch.setitem(failures._TABLES, module.__name__, "LINES")
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    told = []
    log = logging.getLogger("uvicorn.error")
    before = list(log.filters)
    assert failures.count(protocol, lambda: told.append(1))
    yield module, told, log
    log.filters[:] = before


def test_failures_are_told_and_all_lines_are_as_they_were(http):
    module, told, _ = http
    assert [module.LINES[status] for status in (200, 404, 499)] == [b"200", b"404", b"499"]
    assert not told
    assert [module.LINES[status] for status in (500, 503, 503)] == [b"500", b"503", b"503"]
    assert len(told) == 3
    with pytest.raises(KeyError):
        module.LINES[999]


@pytest.mark.parametrize(("has_started", "count"), [(True, 1), (False, 0)])
def test_an_app_that_fails_in_the_middle_of_an_answer_counts_too(http, has_started, count):
    """One that fails before is answered with 500, which counts by itself."""

    def run_asgi(self):
        try:
            raise ValueError(self)
        except ValueError as error:
            log.exception("Exception in ASGI application\n", exc_info=error)

    _, told, log = http
    run_asgi(SimpleNamespace(response_started=has_started))
    assert len(told) == count


def test_so_does_an_answer_that_is_not_completed(http):
    _, told, log = http
    log.error("ASGI callable returned without completing response.")
    log.error("something else")
    assert len(told) == 1


def test_another_protocol_is_left_alone():
    assert not failures.count(Connection, lambda: None)


class Cycle:
    """A request as uvicorn keeps it."""

    def __init__(self, accept, *, has_started=True, has_length=False, is_paused=False):
        self.scope = {"headers": [(b"accept", accept)] if accept else []}
        self.response_started = has_started
        self.chunked_encoding = not has_length
        self.flow = SimpleNamespace(write_paused=is_paused)
        self.disconnected = False
        self.message_event = asyncio.Event()
        self.sent = []

    async def send(self, message):
        self.sent.append(message)

    async def run_asgi(self):
        await asyncio.Event().wait()


async def test_streams_of_events_that_have_begun_are_ended_and_their_tasks():
    cycles = [
        Cycle(b"text/event-stream"), Cycle(b" Text/Event-Stream"), Cycle(b"*/*"), Cycle(b""),
        Cycle(b"text/event-stream", has_started=False), Cycle(b"application/json, text/event-stream"),
        Cycle(b"text/event-stream", has_length=True), Cycle(b"text/event-stream", is_paused=True),
    ]  # fmt: skip
    tasks = [asyncio.ensure_future(cycle.run_asgi()) for cycle in cycles]
    await asyncio.sleep(0)
    await end_streams(cycles, tasks)
    await asyncio.sleep(0)
    ended = [True, True, *[False] * 6]
    assert [cycle.disconnected for cycle in cycles] == ended
    assert [len(cycle.sent) for cycle in cycles] == list(map(int, ended))
    assert [task.cancelled() for task in tasks] == ended
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
