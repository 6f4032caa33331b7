import asyncio
import socket
from contextlib import suppress

import pytest

from rookery.errors import Disconnected
from rookery.ipc.channel import Channel
from rookery.ipc.inbox import MOST, MOST_BYTES
from rookery.ipc.stdio_channel import StdioChannel
from rookery.ipc.writer import FULL


@pytest.fixture(params=[Channel, StdioChannel])
async def ends(request):
    ours, theirs = request.param.pair()
    async with ours, theirs:
        yield ours, theirs


async def sent_until_it_waits(channel, message):
    count = 0
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.1):
                await channel.send(message)
            count += 1
    return count


@pytest.mark.parametrize("size", [10, 10_000, 200_000])
async def test_a_receiver_that_takes_nothing_makes_the_sender_wait(ends, size):
    ours, theirs = ends
    sent = await sent_until_it_waits(ours, "x" * size)
    assert len(theirs._queue) <= MOST + 64 * 1024 // size
    assert len(theirs._queue) * size <= MOST_BYTES + 300_000
    assert ours._writer._outbox.size <= FULL + size + 10
    assert [len(await theirs.receive()) for _ in range(sent)] == [size] * sent
    await ours.send("on")
    assert await theirs.receive() == "on"


async def test_whoever_waits_for_room_comes_in_order_and_one_may_give_up(ends):
    ours, theirs = ends
    sent = await sent_until_it_waits(ours, "x" * 50_000)
    waiting = [asyncio.create_task(ours.send(number)) for number in range(500)]
    await asyncio.sleep(0)
    waiting[3].cancel()
    for _ in range(sent):
        await theirs.receive()
    assert [await theirs.receive() for _ in range(499)] == [number for number in range(500) if number != 3]
    await asyncio.gather(*waiting[:3], *waiting[4:])


async def test_whoever_waits_for_room_is_told_of_the_end(ends):
    ours, theirs = ends
    await sent_until_it_waits(ours, "x" * 50_000)
    waiting = [asyncio.create_task(ours.send(number)) for number in range(5)]
    await asyncio.sleep(0)
    theirs.abort()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Disconnected] * 5


async def test_a_sender_woken_and_cancelled_at_once_passes_its_turn_on(ends):
    ours, _ = ends
    await sent_until_it_waits(ours, "x" * 50_000)
    first, second = asyncio.create_task(ours.send(1)), asyncio.create_task(ours.send(2))
    await asyncio.sleep(0)
    ours._writer._outbox.clear()
    ours._writer._wake()
    first.cancel()
    await asyncio.wait_for(second, 5)
    assert first.cancelled()


async def test_the_end_is_seen_while_nobody_receives(ends):
    ours, theirs = ends
    sent = await sent_until_it_waits(ours, "x" * 10_000)
    assert theirs._is_paused
    waits = ours._writer._outbox.size
    ours.abort()
    await asyncio.wait_for(theirs.wait_closed(), 5)
    got = len([message async for message in _received(theirs)])
    assert sent - waits / 10_000 - 2 <= got <= sent


async def _received(channel):
    with suppress(Exception):
        while True:
            yield await channel.receive()


async def test_a_sender_lets_others_have_their_turn():
    ours, theirs = Channel.pair()
    done = False

    async def send():
        nonlocal done
        for _ in range(200_000):
            await ours.send("x" * 50)
        done = True

    async with ours, theirs:
        theirs.on("*", lambda _: None)
        sending = asyncio.create_task(send())
        turns = 0
        while not done:
            await asyncio.sleep(0)
            turns += 1
        await sending
        assert turns > 50


async def test_unread_answers_do_not_pile_up():
    here, there = socket.socketpair()
    here.setblocking(False)
    theirs = Channel(there, codec="json-lines")
    theirs.on("big", lambda _: "x" * 10_000)
    asked = 0
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError):
        while asked < 1_000_000:
            async with asyncio.timeout(0.2):
                await loop.sock_sendall(here, b'{"$request":1,"message":{"type":"big"}}\n' * 100)
            asked += 100
    assert asked < 1_000_000
    assert len(theirs._served) < 2500  # one read may bring more than a thousand; then no further one is done
    assert theirs._is_paused
    here.close()
    await theirs.close()


async def test_pings_and_refused_handles_do_not_pile_up():
    here, there = socket.socketpair()
    here.setblocking(False)
    theirs = Channel(there, codec="node")
    loop = asyncio.get_running_loop()
    for _ in range(2000):
        await loop.sock_sendall(here, b'{"$ping":1}\n{"cmd":"NODE_HANDLE"}\n' * 20)
        await asyncio.sleep(0)
    assert theirs._writer._outbox.size < FULL + 1000
    here.close()
    await theirs.close()
