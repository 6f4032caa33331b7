import asyncio
import socket

import pytest

from rookery.errors import ChannelTimeout, Disconnected, FrameError, RemoteError, UsageError
from rookery.ipc import envelope as kinds
from rookery.ipc.calls import MOST_CALLS
from rookery.ipc.channel import Channel
from rookery.ipc.envelope import Envelope


@pytest.fixture(params=["msgpack", "json-lines", "pickle"])
async def ends(request):
    ours, theirs = Channel.pair(codec=request.param)
    async with ours, theirs:
        yield ours, theirs


async def test_plain_and_coroutine_functions_answer(ends):
    ours, theirs = ends

    async def later(message):
        await asyncio.sleep(0)
        return [message["n"]]

    theirs.on("now", lambda message: message["n"])
    theirs.on("later", later)
    assert await ours.request({"type": "now", "n": 0}) == 0
    assert await ours.request({"type": "later", "n": None}) == [None]
    results = await asyncio.gather(*(ours.request({"type": "later", "n": n}) for n in range(200)))
    assert results == [[n] for n in range(200)]


async def test_both_sides_may_ask_at_once(ends):
    ours, theirs = ends

    async def asks_back(message):
        return await theirs.request({"type": "half", "n": message["n"] * 4})

    theirs.on("twice", asks_back)
    ours.on("half", lambda message: message["n"] // 2)
    assert await ours.request({"type": "twice", "n": 21}) == 42


async def test_a_remote_error_brings_its_traceback(ends):
    ours, theirs = ends

    def fails_here(message):
        raise ValueError(f"no {message['type']}")

    theirs.on("fail", fails_here)
    with pytest.raises(RemoteError, match="ValueError: no fail") as caught:
        await ours.request({"type": "fail"})
    assert (caught.value.kind, caught.value.text) == ("ValueError", "no fail")
    assert "in fails_here" in caught.value.traceback
    assert "in fails_here" in str(caught.value)


async def test_nobody_handles_it(ends):
    ours, _ = ends
    with pytest.raises(RemoteError, match="nobody handles 'x'"):
        await ours.request({"type": "x"})
    with pytest.raises(RemoteError, match="a message of type int"):
        await ours.request(5)


async def test_an_answer_that_cannot_be_sent_is_an_error_there(ends):
    ours, theirs = ends

    async def gives_a_function(_):
        return [lambda: None]

    theirs.on("now", lambda _: [lambda: None])
    theirs.on("late", gives_a_function)
    for kind in ("now", "late"):
        with pytest.raises(RemoteError, match="cannot be encoded") as caught:
            await ours.request({"type": kind})
        assert caught.value.kind == "UsageError"


async def test_an_error_that_does_not_fit_is_told_briefly():
    here, there = socket.socketpair()
    ours, theirs = Channel(here), Channel(there, max_message=300)

    async def fails_late(_):
        raise ValueError("x" * 200)

    async with ours, theirs:
        theirs.on("now", lambda _: [1] * 500)
        theirs.on("late", fails_late)
        for kind in ("now", "late"):
            with pytest.raises(RemoteError, match="larger than the limit of 300"):
                await ours.request({"type": kind})


async def test_progress_comes_in_order_before_the_answer(ends):
    ours, theirs = ends
    seen = []

    async def works(_, call):
        for part in range(5):
            await call.progress(part)
        return "done"

    theirs.on("work", works, with_call=True)
    assert await ours.request({"type": "work"}, on_progress=seen.append) == "done"
    assert seen == [0, 1, 2, 3, 4]
    assert await ours.request({"type": "work"}) == "done"


async def test_cancelling_and_timeout_reach_the_handler(ends):
    ours, theirs = ends
    started, ended = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def hangs(_):
        started.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.release()

    theirs.on("hang", hangs)
    asking = asyncio.create_task(ours.request({"type": "hang"}))
    await started.acquire()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await ended.acquire()
    with pytest.raises(ChannelTimeout, match=r"no answer came within 0\.05 s") as caught:
        await ours.request({"type": "hang"}, timeout=0.05)
    assert caught.value.after == 0.05
    await ended.acquire()
    await ours.ping()
    assert len(theirs._served) == 0
    assert len(ours._calls) == 0


async def test_a_late_answer_is_dropped_and_never_taken_for_another():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        with pytest.raises(RemoteError):
            await ours.request({"type": "first"})
        number = ours._calls._number
        slow = asyncio.create_task(ours.request({"type": "slow"}, timeout=5))
        theirs.on("slow", lambda _: asyncio.sleep(0.05, "right"))
        for stale in (number, number + 500, 0):
            theirs._post(Envelope(kinds.REPLY, stale, "late"))
            theirs._post(Envelope(kinds.PROGRESS, stale, "late"))
            theirs._post(Envelope(kinds.ERROR, stale, "late"))
        assert await slow == "right"


async def test_the_end_of_the_channel_fails_requests_and_cancels_their_handlers(ends):
    ours, theirs = ends
    started, ended = asyncio.Event(), asyncio.Event()

    async def hangs(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    theirs.on("hang", hangs)
    asking = asyncio.create_task(ours.request({"type": "hang"}, timeout=None))
    await started.wait()
    ours.abort()
    with pytest.raises(Disconnected):
        await asking
    await ended.wait()
    with pytest.raises(Disconnected):
        await ours.request({"type": "hang"})


async def test_more_requests_than_allowed_wait_for_their_turn(until):
    ours, theirs = Channel.pair()
    go = asyncio.Event()
    most = 0

    async def held(message):
        nonlocal most
        most = max(most, len(theirs._served))
        await go.wait()
        return message["n"]

    async with ours, theirs:
        theirs.on("held", held)
        asking = [asyncio.create_task(ours.request({"type": "held", "n": n})) for n in range(MOST_CALLS + 100)]
        await until(lambda: len(theirs._served) == MOST_CALLS)
        assert await ours.ping() >= 0  # pings need no turn of their own among handlers
        go.set()
        assert await asyncio.gather(*asking) == list(range(MOST_CALLS + 100))
        assert most == MOST_CALLS


async def test_a_timeout_behind_unread_messages_says_so():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        sending = [asyncio.create_task(theirs.send("x" * 60_000)) for _ in range(50)]
        with pytest.raises(ChannelTimeout) as caught:
            await ours.request(1, timeout=0.2)
        assert "messages wait unread" in caught.value.hint
        assert sum(task.done() for task in sending) < 50
        for _ in sending:
            await ours.receive()


async def test_a_ping_tells_the_time_it_took():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        assert 0 <= await ours.ping() < 5
        theirs._pause()
        with pytest.raises(ChannelTimeout):
            await ours.ping(timeout=0.05)


async def test_closing_ends_handlers_at_work():
    ours, theirs = Channel.pair()
    started, ended = asyncio.Event(), []

    async def hangs(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async with ours:
        theirs.on("*", hangs)
        await ours.send(1)
        await started.wait()
        await theirs.close()
        assert ended == [True]


@pytest.mark.parametrize(
    "parts",
    [None, [], [1, 2, 3], ["1", 2, 3, 0], [99, 0, 0, 0], [1, -1, 0, 0], [1, 1, 0, -1], [1, 1, 0, 5], [8, 0, "x", 0]],
)
async def test_a_malformed_envelope_ends_the_channel(parts):
    ours, theirs = Channel.pair()
    async with ours, theirs:
        ours._writer.put(b"\xc1" + ours._codec.encode(parts))
        with pytest.raises(FrameError):
            await theirs.receive()


async def test_text_knows_no_requests():
    ours, theirs = Channel.pair(codec="text")
    async with ours, theirs:
        await ours.send("a line")
        assert await theirs.receive() == "a line"
        with pytest.raises(UsageError, match="knows no requests"):
            await ours.request("x")
        with pytest.raises(UsageError, match="one line of text"):
            await ours.send("two\nlines")
