"""Server-sent events, over an ASGI connection on paper."""

from __future__ import annotations

import asyncio

import pytest

from rookery.web.streams import EventStream, Message, Streams


class Connection:
    """What a server gives to an application. stalls: it takes nothing; dropped: it was cut."""

    def __init__(self):
        self.sent, self.stalls, self.dropped, self.is_stream = [], False, False, False
        self._gone = asyncio.Event()

    async def receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self.stalls:
            await asyncio.Event().wait()
        self.sent.append(message)

    def leave(self):
        self._gone.set()

    def drop(self):
        self.dropped = True
        self.leave()

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def is_complete(self):
        return self.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


class Source:
    """Gives what it is told to."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.cancelled = 0

    async def more(self):
        try:
            item = await self.queue.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture
def source():
    return Source()


@pytest.fixture
async def opened():
    """Opens a stream; all of them must be over at the end."""
    tasks = []

    def opened(streams, source):
        connection = Connection()
        scope = {"type": "http", "state": {"connection": connection}}
        task = asyncio.ensure_future(EventStream(streams, source.more)(scope, connection.receive, connection.send))
        tasks.append(task)
        return connection, task

    yield opened
    for task in tasks:
        await asyncio.wait_for(task, 5)


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


def test_how_an_event_looks():
    assert Message("a\nb", "3.17", "exit").encoded() == b"id: 3.17\nevent: exit\ndata: a\ndata: b\n\n"
    assert Message("").encoded() == b"data: \n\n"


async def test_events_as_they_come(opened, source):
    streams = Streams()
    connection, task = opened(streams, source)
    await turns()
    assert streams.open == 1
    assert connection.is_stream
    headers = dict(connection.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert b"content-length" not in headers
    source.queue.put_nowait([Message("one", "1.1"), Message("two", "1.2")])
    await turns()
    assert connection.body == "retry: 1000\n\nid: 1.1\ndata: one\n\nid: 1.2\ndata: two\n\n"
    connection.leave()
    await task
    assert (streams.open, source.cancelled) == (0, 1)


async def test_silence_is_broken_by_heartbeats(opened, source):
    connection, _ = opened(Streams(heartbeat=0.01), source)
    async with asyncio.timeout(5):
        while connection.body.count(": still there") < 3:  # noqa: ASYNC110 - it is the time that is awaited
            await asyncio.sleep(0.005)
    assert source.cancelled == 0  # the same question goes on
    connection.leave()


async def test_all_end_when_the_manager_leaves(opened, source):
    streams = Streams()
    (first, one), (second, two) = opened(streams, source), opened(streams, source)
    await turns()
    streams.end()
    await asyncio.gather(one, two)
    assert first.is_complete
    assert second.is_complete
    late, task = opened(streams, source)
    await task
    assert late.is_complete
    assert streams.open == 0


async def test_there_is_a_limit(opened, source):
    streams = Streams(most=2)
    connections = [opened(streams, source)[0] for _ in range(2)]
    await turns()
    refused, task = opened(streams, source)
    await task
    assert refused.sent[0]["status"] == 503
    headers = dict(refused.sent[0]["headers"])
    assert (headers[b"content-type"], headers[b"retry-after"]) == (b"application/problem+json", b"5")
    connections[0].leave()
    await turns()
    again, _ = opened(streams, source)
    await turns()
    assert again.sent[0]["status"] == 200
    for connection in (*connections, again):
        connection.leave()


async def test_who_reads_nothing_is_cut(opened, source):
    streams = Streams(patience=0.02)
    connection, task = opened(streams, source)
    await turns()
    connection.stalls = True
    source.queue.put_nowait([Message("x")])
    await task
    assert connection.dropped
    assert streams.open == 0


async def test_a_source_that_fails_ends_the_stream(opened, source, caplog):
    connection, task = opened(Streams(), source)
    source.queue.put_nowait(RuntimeError("no more"))
    await task
    assert connection.is_complete
    assert "no more" in caplog.text


async def test_a_server_that_gives_up_leaves_nothing(source):
    streams, connection = Streams(), Connection()
    stream = EventStream(streams, source.more)
    task = asyncio.ensure_future(stream({"type": "http"}, connection.receive, connection.send))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert (streams.open, source.cancelled) == (0, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
