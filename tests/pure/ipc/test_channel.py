import asyncio
import socket

import pytest

from rookery.errors import Disconnected, FrameError, UsageError
from rookery.ipc.channel import Channel
from rookery.ipc.stdio_channel import StdioChannel

VALUES = [
    0,
    None,
    False,
    "",
    [],
    {},
    {"type": 7},
    {"$request": 1, "message": 2},
    {"$reply": "x"},
    "ü\n",
    [1, [2, {"a": None}]],
    1.5,
    "x" * 200_000,
]


@pytest.fixture(params=["msgpack", "json", "json-lines", "node", "pickle"])
def codec(request):
    return request.param


async def test_what_is_sent_is_received_in_order(codec):
    ours, theirs = Channel.pair(codec=codec)
    async with ours, theirs:
        for value in VALUES:
            await ours.send(value)
            await theirs.send([value])
        assert [await theirs.receive() for _ in VALUES] == VALUES
        assert [await ours.receive() for _ in VALUES] == [[value] for value in VALUES]


async def test_pipes_carry_messages_too():
    ours, theirs = StdioChannel.pair()
    async with ours, theirs:
        for value in VALUES:
            await ours.send(value)
        assert [await theirs.receive() for _ in VALUES] == VALUES
        theirs.on("double", lambda message: message["n"] * 2)
        assert await ours.request({"type": "double", "n": 4}) == 8
        with pytest.raises(UsageError, match="Unix sockets only"):
            await ours.send(1, fds=[0])


async def test_a_hundred_thousand_small_messages_arrive_in_order():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        count = 100_000

        async def send():
            for number in range(count):
                await ours.send(number)

        sending = asyncio.create_task(send())
        assert [await theirs.receive() for _ in range(count)] == list(range(count))
        await sending


async def test_iteration_ends_when_the_other_side_closes():
    ours, theirs = Channel.pair()
    async with theirs:
        for number in range(3):
            await ours.send(number)
        await ours.close()
        assert [message async for message in theirs] == [0, 1, 2]
        assert not theirs.connected
        with pytest.raises(Disconnected, match="has gone"):
            await theirs.receive()
        with pytest.raises(Disconnected):
            await theirs.send(1)


async def test_whoever_waits_is_told_of_the_end():
    ours, theirs = Channel.pair()
    told = []
    theirs.on_disconnect(told.append)
    waiting = [asyncio.create_task(work) for work in (theirs.receive(), theirs.receive(), theirs.request(1))]
    closed = asyncio.create_task(theirs.wait_closed())
    await asyncio.sleep(0)
    ours.abort()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Disconnected] * 3
    assert isinstance(await closed, Disconnected)
    assert told == [theirs.error]
    theirs.on_disconnect(told.append)
    await asyncio.sleep(0)
    assert len(told) == 2
    await theirs.close()


async def test_closing_here_ends_a_receive_here():
    ours, theirs = Channel.pair()
    async with theirs:
        waiting = asyncio.create_task(ours.receive())
        await asyncio.sleep(0)
        await ours.close()
        with pytest.raises(Disconnected, match="was closed"):
            await waiting


async def test_what_was_sent_before_the_end_is_received_after_a_failed_send():
    ours, theirs = Channel.pair()
    async with theirs:
        await ours.send("last words")
        await ours.close()
        with pytest.raises(Disconnected):
            await asyncio.gather(*(theirs.send("x" * 100_000) for _ in range(100)))
        assert await theirs.receive() == "last words"


async def test_a_cancelled_receive_loses_nothing():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        first, second = asyncio.create_task(theirs.receive()), asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        await ours.send("one")
        first.cancel()
        assert await second == "one"
        third = asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        third.cancel()
        await ours.send("two")
        assert await theirs.receive() == "two"


async def test_a_receiver_woken_and_cancelled_at_once_passes_its_turn_on():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        first, second = asyncio.create_task(theirs.receive()), asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        theirs._queue.append("one")
        theirs._inbox.wake()
        first.cancel()
        assert await asyncio.wait_for(second, 5) == "one"
        assert first.cancelled()


async def test_handlers_by_type_by_class_and_for_the_rest():
    ours, theirs = Channel.pair(codec="pickle")
    seen = []
    async with ours, theirs:
        theirs.on("named", lambda message: seen.append(("named", message["n"])))
        theirs.on(complex, lambda message: seen.append(("complex", message)))
        await ours.send({"type": "named", "n": 1})
        await ours.send(2j)
        await ours.send("rest")
        assert await theirs.receive() == "rest"
        theirs.on("*", lambda message: seen.append(("any", message)))
        theirs.off(complex)
        await ours.send(3j)
        await ours.ping()
        assert seen == [("named", 1), ("complex", 2j), ("any", 3j)]


async def test_a_handler_that_fails_is_reported_and_the_channel_lives_on():
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))
    ours, theirs = Channel.pair()

    async def fails(_message):
        raise KeyError("late")

    async with ours, theirs:
        theirs.on("now", lambda _: 1 / 0)
        theirs.on("late", fails)
        await ours.send({"type": "now"})
        await ours.send({"type": "late"})
        await ours.ping()
        assert [type(report) for report in reports] == [ZeroDivisionError, KeyError]


async def test_a_handler_may_close_the_channel():
    ours, theirs = Channel.pair()
    async with ours:
        theirs.on("stop", lambda _: theirs.abort())
        await ours.send({"type": "stop"})
        await ours.send({"type": "stop"})
        assert isinstance(await ours.wait_closed(), Disconnected)
        assert "was closed" in str(theirs.error)


async def test_too_large_a_message_is_refused_where_it_is_sent_and_where_it_arrives():
    here, there = socket.socketpair()
    ours, theirs = Channel(here, max_message=100), Channel(there, max_message=50)
    async with ours, theirs:
        with pytest.raises(UsageError, match="larger than the limit of 100"):
            await ours.send("x" * 100)
        await ours.send("before")
        await ours.send("x" * 80)
        assert await theirs.receive() == "before"
        with pytest.raises(FrameError, match="more than the limit of 50"):
            await theirs.receive()
        assert isinstance(await ours.wait_closed(), Disconnected)


async def test_what_cannot_be_encoded_is_an_error_here_and_nothing_is_sent(codec):
    ours, theirs = Channel.pair(codec=codec)
    async with ours, theirs:
        with pytest.raises(UsageError, match="cannot be encoded"):
            await ours.send([lambda: None])
        await ours.send("fine")
        assert await theirs.receive() == "fine"


@pytest.mark.parametrize("bad", [("codec", "morse"), ("sock", socket.SOCK_DGRAM)])
async def test_a_wrong_codec_or_socket_is_an_error(bad):
    what, value = bad
    here, there = socket.socketpair(type=value if what == "sock" else socket.SOCK_STREAM)
    with here, there, pytest.raises(UsageError):
        Channel(here, codec=value if what == "codec" else "json")


async def test_closing_sends_what_waits_but_not_for_ever():
    ours, theirs = Channel.pair()
    sent = 0
    while True:
        try:
            async with asyncio.timeout(0.05):
                await ours.send("x" * 10_000)
        except TimeoutError:
            break
        sent += 1
    closing = asyncio.create_task(ours.close(linger=5.0))
    assert len([message async for message in theirs]) == sent
    await closing
    await theirs.close()

    ours, theirs = Channel.pair()
    theirs._pause()
    for _ in range(100):
        try:
            async with asyncio.timeout(0.05):
                await ours.send("x" * 10_000)
        except TimeoutError:
            break
    await ours.close(linger=0.05)
    assert not ours.connected
    await theirs.close()
