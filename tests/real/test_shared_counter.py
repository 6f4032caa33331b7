"""Many processes at one element: nothing is lost, whoever is killed."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import time
from contextlib import ExitStack

import pytest
from forked import Forked

from capabilities import DEADLINE, needs_linux
from rookery import SharedArray
from rookery._os import features, kernel
from rookery.ipc import shared_lock, shared_wait
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


@pytest.fixture(params=["", "robust_mutex,futex,memfd"], ids=["best", "fallbacks"])
def without(request, monkeypatch):
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield request.param
    features.forget()


@pytest.fixture
def never_looks_again(monkeypatch):
    """A notification that is lost is lost for ever."""
    monkeypatch.setattr(shared_wait, "_NAP", 1000.0)


def test_800_000(without):
    times = 10_000 if without else 100_000  # a lock on a file takes four times as long
    with SharedArray("int64", 1) as counter:

        def work():
            add = counter.atomics.add
            for _ in range(times):
                add(0, 1)

        counter.atomics.add(0, 0)  # what this process has opened for it is not its children's
        assert [child.join() for child in [Forked(work) for _ in range(8)]] == [0] * 8
        assert counter[0] == 8 * times


def test_whoever_is_killed(without):
    """Each adds to the sum, then to an element of its own: at most one operation of each killed one is between."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    kills, workers = 40, 4
    with SharedArray("int64", 1 + workers) as numbers, ExitStack() as stack:

        def start(index):
            def work():
                add, view = numbers.atomics.add, numbers.view
                while True:
                    add(0, 1)
                    view[index] += 1

            return stack.enter_context(Forked(work))

        running = {index: start(index) for index in range(1, workers + 1)}
        for _ in range(kills):
            index = dice.randrange(1, workers + 1)
            before = numbers[index]
            wait_until(lambda index=index, before=before: numbers[index] > before, DEADLINE, f"work of {index}")
            time.sleep(dice.uniform(0, 0.003))
            running[index].kill()
            running[index] = start(index)
        for child in running.values():
            child.kill()
        own = sum(numbers[1:])
        assert own <= numbers[0] <= own + kills + workers
        assert numbers.atomics.add(0, 5) + 5 == numbers[0]


@pytest.mark.parametrize("how", ["waits", "finds it", "is interrupted"])
def test_killed_with_the_lock(how):
    with SharedArray("int64", 1) as counter:
        lock = counter.atomics._lock

        def work():
            assert lock.try_lock(lock.token) == 0
            counter[0] = 7
            os.kill(os.getpid(), signal.SIGSTOP)

        with Forked(work) as holder:
            wait_until(lambda: counter[0] == 7, DEADLINE, "a holder")
            assert lock.try_lock(lock.token) == errno.EBUSY
            if how == "waits":
                with Forked(lambda: counter.atomics.add(0, 1)) as waiter:
                    wait_until(lambda: kernel.facts(waiter.pid).state == "S", DEADLINE, "a waiter")
                    holder.kill()
                    assert waiter.join() == 0
                assert counter[0] == 8
            else:
                holder.kill()
                if how == "is interrupted":  # after it got the lock, before it could mend it
                    assert lock.try_lock(lock.token) == errno.EOWNERDEAD
                    lock.abandon()
        value = counter[0]
        assert counter.atomics.add(0, 1) == value
        assert Forked(lambda: counter.atomics.add(0, 1)).join() == 0
        assert counter[0] == value + 2


@pytest.mark.parametrize("raises", [False, True])
def test_interrupts_at_any_moment(without, raises):
    """A signal handler that uses the same element, and one that raises too, thousands of times."""
    with SharedArray("int64", 3) as numbers:

        class Interrupt(BaseException):
            pass

        def handler(*_):
            numbers.atomics.add(0, 1)
            numbers[1] += 1
            if raises:
                raise Interrupt

        def work():
            signal.signal(signal.SIGALRM, handler)
            atomics = numbers.atomics
            done = 0
            for turn in range(2000):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0002)
                    while numbers[1] == turn:
                        atomics.add(0, 1)
                        done += 1
                except Interrupt:
                    continue
            numbers[2] = done

        assert Forked(work).join() == 0
        least = numbers[1] + numbers[2]
        # What was interrupted after it was done is not counted.
        assert least <= numbers[0] <= least + (numbers[1] if raises else 0)
        assert Forked(lambda: numbers.atomics.add(0, 1)).join() == 0  # the lock is free


def test_a_stopped_holder_is_told(monkeypatch):
    monkeypatch.setattr(shared_lock, "PATIENCE", 0.3)
    with SharedArray("int64", 2) as numbers:
        lock = numbers.atomics._lock

        def work():
            lock.try_lock(lock.token)
            numbers[1] = 1
            os.kill(os.getpid(), signal.SIGSTOP)
            lock.unlock(lock.token)

        with Forked(work) as holder:
            wait_until(lambda: numbers[1], DEADLINE, "a holder")
            with pytest.raises(shared_lock.LockTimeout, match="shared array") as caught:
                numbers.atomics.add(0, 1)
            assert "SIGSTOP" in caught.value.hint
            holder.kill(signal.SIGCONT)
            assert holder.join() == 0
        assert numbers.atomics.add(0, 1) == 0


def test_waking_another_process(without, never_looks_again):
    with SharedArray("uint8", 200) as numbers:
        atomics = numbers.atomics

        def answer():
            for turn in range(100):
                assert atomics.wait(100, turn, DEADLINE)
                atomics.store(199, turn + 1)
                atomics.notify(199)

        with Forked(answer) as other:
            for turn in range(100):
                atomics.store(100, turn + 1)
                atomics.notify(100)
                assert atomics.wait(199, turn, DEADLINE)
            assert other.join() == 0


def test_all_waiters_wake_and_only_for_their_element(without, never_looks_again):
    with SharedArray("int32", 130) as numbers, ExitStack() as stack:

        def wait(index):
            numbers.atomics.add(128, 1)
            numbers.atomics.wait(index, 0)
            numbers.atomics.add(index, 1)

        mine = [stack.enter_context(Forked(lambda: wait(0))) for _ in range(3)]
        other = stack.enter_context(Forked(lambda: wait(64)))  # sleeps on the same word
        wait_until(lambda: numbers[128] == 4, DEADLINE, "the waiters")
        mine.pop().kill()  # leaves nothing behind
        numbers.atomics.store(0, 1)
        numbers.atomics.notify(0)
        assert [one.join() for one in mine] == [0, 0]
        assert numbers[0] == 3
        assert not other.has_ended()
        numbers.atomics.store(64, 1)
        numbers.atomics.notify(64)
        assert other.join() == 0


def test_a_notifier_that_is_killed_before_it_rings():
    """Who sleeps looks again by itself after a while."""
    with SharedArray("int32", 2) as numbers:

        def work():
            numbers[1] = 1
            numbers.atomics.wait(0, 0)

        with Forked(work) as waiter:
            wait_until(lambda: numbers[1], DEADLINE, "a waiter")
            numbers.atomics.store(0, 1)
            assert waiter.join() == 0


async def test_an_event_loop_waits_for_another_process(never_looks_again):
    with SharedArray("int32", 2) as numbers:

        def work():
            numbers.atomics.wait(0, 0)
            numbers.atomics.store(1, 5)
            numbers.atomics.notify(1)

        with Forked(work) as other:
            waiting = asyncio.create_task(numbers.atomics.wait_async(1, 0, DEADLINE))
            for _ in range(10):
                await asyncio.sleep(0)  # the loop goes on meanwhile
            assert not waiting.done()
            numbers.atomics.store(0, 1)
            numbers.atomics.notify(0)
            assert await waiting
            assert other.join() == 0
        assert numbers[1] == 5


def test_an_interrupted_wait(monkeypatch):
    with SharedArray("int32", 1) as numbers:

        def work():
            signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)
            numbers[0] = 1
            try:
                numbers.atomics.wait(0, 1)
            except ZeroDivisionError:
                return
            raise AssertionError("it was not interrupted")

        with Forked(work) as waiter:
            wait_until(lambda: numbers[0], DEADLINE, "a waiter")
            waiter.kill(signal.SIGUSR1)
            assert waiter.join() == 0
