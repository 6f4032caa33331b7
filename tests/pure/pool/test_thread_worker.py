"""One thread with a channel."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import traceback
from contextlib import suppress

import pytest

from capabilities import DEADLINE
from rookery import ThreadWorker
from rookery.errors import ChannelTimeout, Disconnected, UsageError
from rookery.testing import wait_until


def echo(channel):
    for message in channel:
        channel.send(("echo", message))
    return "bye"


async def test_messages_both_ways():
    async with ThreadWorker(echo) as worker:
        for message in (1, None, "", {"a": [1]}, 0):
            await worker.send(message)
        assert [await worker.receive() for _ in range(5)] == [("echo", m) for m in (1, None, "", {"a": [1]}, 0)]


def test_for_a_caller_that_blocks():
    with ThreadWorker(echo, name="echo") as worker:
        worker.send_sync(1)
        assert worker.receive_sync(timeout=DEADLINE) == ("echo", 1)
        worker.send_sync(2)
        worker.disconnect()
        assert list(worker) == [("echo", 2)]
        assert worker.wait_sync(timeout=DEADLINE) == "bye"
        assert not worker.is_running
    assert "echo" in repr(worker)


async def test_it_begins_with_data_and_sees_the_owners_context():
    number = contextvars.ContextVar("number", default=0)

    def work(channel, data):
        return data, channel.data, number.get(), threading.current_thread().name

    number.set(5)
    async with ThreadWorker(work, data=[1], name="mine") as worker:
        assert await worker.wait() == ([1], [1], 5, "mine")


async def test_a_coroutine_function_has_a_loop_of_its_own():
    async def work(channel):
        async with asyncio.timeout(DEADLINE):
            await asyncio.sleep(0)
            total = 0
            async for message in channel:
                total += message
                await channel.send(total)
            return threading.get_ident()

    async with ThreadWorker(work) as worker:
        for message in (1, 2, 3):
            await worker.send(message)
        assert [await worker.receive() for _ in range(3)] == [1, 3, 6]
        worker.disconnect()
        assert await worker.wait() != threading.get_ident()


async def test_messages_are_the_very_same_objects_unless_copied():
    given = [1]
    for copy in (False, True):
        async with ThreadWorker(lambda c: c.send((c.data, c.receive())), data=given, copy=copy) as worker:
            await worker.send(given)
            data, message = await worker.receive()
        assert data == message == given
        assert (data is given) is (message is given) is (not copy)


async def test_what_cannot_be_copied_is_refused():
    async with ThreadWorker(echo, copy=True) as worker:
        with pytest.raises(UsageError, match="copied"):
            await worker.send(lambda: 1)
        await worker.send(1)
        assert await worker.receive() == ("echo", 1)
    with pytest.raises(UsageError):
        ThreadWorker(echo, data=threading.Lock(), copy=True)


@pytest.mark.parametrize("wrong", [{"function": 3}, {"function": echo, "max_queue": 0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        ThreadWorker(**wrong)


def failing(channel):
    channel.send("last words")
    raise ValueError("no")


async def test_what_it_raises_comes_after_its_last_message_with_its_traceback():
    async with ThreadWorker(failing) as worker:
        assert await worker.receive() == "last words"
        for _ in range(2):
            with pytest.raises(ValueError, match="no") as caught:
                await worker.receive()
            text = "".join(traceback.format_exception(caught.value))
            assert text.count("in failing") == 1
        with pytest.raises(ValueError, match="no"):
            await worker.send(1)
        with pytest.raises(ValueError, match="no"):
            await worker.wait()
        with pytest.raises(ValueError, match="no"):
            worker.wait_sync(timeout=DEADLINE)


async def test_iteration_raises_it_too():
    async def take_all(worker, seen):
        async for message in worker:
            seen.append(message)

    seen = []
    async with ThreadWorker(failing) as worker:
        with pytest.raises(ValueError, match="no"):
            await take_all(worker, seen)
    assert seen == ["last words"]
    with pytest.raises(ValueError, match="no"), ThreadWorker(failing) as other:
        list(other)


async def test_an_error_that_the_owner_did_not_meet_is_raised_at_the_end_of_the_block():
    def fails(channel):
        raise ValueError("unseen")

    with pytest.raises(ValueError, match="unseen"):
        async with ThreadWorker(fails):
            pass
    with pytest.raises(ValueError, match="unseen"), ThreadWorker(fails):
        pass


def test_and_is_logged_where_the_block_has_an_error_of_its_own(caplog):
    def fails(channel):
        raise ValueError("unseen")

    with pytest.raises(KeyError), ThreadWorker(fails):
        raise KeyError("own")
    assert "unseen" in caplog.text


def test_or_where_nobody_has_the_worker_any_more(caplog):
    gate = threading.Event()

    def fails(channel):
        gate.wait(DEADLINE)
        raise ValueError("unseen")

    worker = ThreadWorker(fails, name="lost")
    del worker
    gc.collect()
    gate.set()
    wait_until(lambda: "unseen" in caplog.text, DEADLINE, "the log")


def test_one_that_nobody_has_any_more_is_disconnected():
    ended = threading.Event()

    def work(channel):
        for _ in channel:
            pass
        ended.set()

    worker = ThreadWorker(work)
    worker.send_sync(1)
    del worker
    gc.collect()
    assert ended.wait(DEADLINE)


async def test_a_thread_that_lets_the_disconnect_through_has_done_nothing_wrong():
    def work(channel):
        while True:
            channel.receive()

    async with ThreadWorker(work) as worker:
        await worker.send(1)
    assert worker.wait_sync() is None


async def test_a_disconnect_from_elsewhere_is_an_error():
    def work(channel):
        raise Disconnected("the database is gone")

    async with ThreadWorker(work) as worker:
        with pytest.raises(Disconnected, match="database"):
            async for _ in worker:
                pass


async def test_after_its_end():
    async with ThreadWorker(lambda channel: channel.send("only")) as worker:
        await worker.wait()
        assert not worker.connected
        with pytest.raises(Disconnected, match="has ended"):
            await worker.send(1)
        assert await worker.receive() == "only"
        with pytest.raises(Disconnected, match="has ended"):
            await worker.receive()


async def test_the_thread_may_leave_the_channel_and_work_on():
    gate = threading.Event()

    def work(channel):
        channel.send(1)
        channel.disconnect()
        assert not channel.connected
        gate.wait(DEADLINE)

    async with ThreadWorker(work) as worker:
        assert [message async for message in worker] == [1]
        with pytest.raises(Disconnected, match="has disconnected"):
            await worker.send(1)
        assert worker.is_running
        gate.set()


def test_time_limits():
    received, gate = threading.Event(), threading.Event()

    def work(channel):
        with pytest.raises(ChannelTimeout):
            channel.receive(timeout=0.01)
        received.set()
        channel.send(1)
        with pytest.raises(ChannelTimeout):
            channel.send(2, timeout=0.01)
        gate.wait(DEADLINE)

    with ThreadWorker(work, max_queue=1) as worker:
        with pytest.raises(ChannelTimeout):
            worker.wait_sync(timeout=0.01)
        assert received.wait(DEADLINE)
        worker.send_sync(1)
        with pytest.raises(ChannelTimeout):
            worker.send_sync(2, timeout=0.01)
        gate.set()
        worker.wait_sync(timeout=DEADLINE)
        assert worker.receive_sync(timeout=DEADLINE) == 1
        with pytest.raises(Disconnected):
            worker.receive_sync(timeout=DEADLINE)


def test_no_message_in_time():
    gate = threading.Event()
    with ThreadWorker(lambda channel: gate.wait(DEADLINE)) as worker:
        with pytest.raises(ChannelTimeout, match=r"0\.01 s"):
            worker.receive_sync(timeout=0.01)
        gate.set()


async def test_many_messages_through_a_small_queue_in_order():
    async with ThreadWorker(echo, max_queue=3) as worker:

        async def send():
            for number in range(2000):
                await worker.send(number)
            worker.disconnect()

        sending = asyncio.create_task(send())
        assert [message[1] async for message in worker] == list(range(2000))
        await sending


async def test_cancelled_receivers_lose_no_message():
    async with ThreadWorker(echo) as worker:
        seen = []
        for number in range(300):
            receiving = asyncio.create_task(worker.receive())
            await worker.send(number)
            if number % 3:
                await asyncio.sleep(0)
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                seen.append((await receiving)[1])
        worker.disconnect()
        seen += [message[1] async for message in worker]
        assert seen == list(range(300))


async def test_a_cancelled_receiver_that_was_woken_passes_it_on():
    # The message comes, wakes the first, which is cancelled before its turn: the second must get it.
    async with ThreadWorker(echo) as worker:
        first, second = (asyncio.create_task(worker.receive()) for _ in range(2))
        await asyncio.sleep(0)
        await worker.send(1)
        wait_until(lambda: len(worker._run.outward), DEADLINE, "the answer")
        first.cancel()
        async with asyncio.timeout(DEADLINE):
            assert await second == ("echo", 1)


async def test_a_thread_that_is_blocked_in_send_is_freed_at_the_end_of_the_block():
    raised = []

    def work(channel):
        try:
            for number in range(100):
                channel.send(number)
        except Disconnected as error:
            raised.append(error)

    async with ThreadWorker(work, max_queue=1) as worker:
        assert await worker.receive() == 0
    assert len(raised) == 1


async def test_the_loop_goes_on_while_the_block_waits():
    gate, turns = threading.Event(), []

    async def open_it():
        for _ in range(3):
            turns.append(1)
            await asyncio.sleep(0)
        gate.set()

    async with ThreadWorker(lambda channel: gate.wait(DEADLINE)):
        opener = asyncio.create_task(open_it())
    assert len(turns) == 3
    await opener


def test_a_loop_that_was_closed_keeps_nobody_waiting():
    async def give_up(worker):
        receiving = asyncio.ensure_future(worker.receive())
        await asyncio.sleep(0)
        receiving.cancel()

    with ThreadWorker(echo) as worker:
        asyncio.run(give_up(worker))
        worker.send_sync(1)
        assert worker.receive_sync(timeout=DEADLINE) == ("echo", 1)


def test_several_threads_may_share_a_worker():
    with ThreadWorker(echo, max_queue=2) as worker:
        found = []

        def use():
            for _ in range(200):
                worker.send_sync(1, timeout=DEADLINE)
                found.append(worker.receive_sync(timeout=DEADLINE))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 800
