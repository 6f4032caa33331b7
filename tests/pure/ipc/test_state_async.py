"""State files in an event loop: nothing there waits for a lock or a disk but the task that asked."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from capabilities import DEADLINE
from rookery import StateFile
from rookery._base import atomic
from rookery.errors import FileDamaged, LockTimeout, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


@pytest.fixture
def held(path):
    """Somebody else has the lock, until the returned function is called."""
    has_it, go = threading.Event(), threading.Event()

    def hold():
        with StateFile(path).lock():
            has_it.set()
            go.wait(DEADLINE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(DEADLINE)

    def release():
        go.set()
        thread.join()

    yield release
    release()


@pytest.fixture
def slow_disk(monkeypatch):
    """(reached, go): a write stands still between the two."""
    reached, go, real = threading.Event(), threading.Event(), atomic.replace

    def replace(*args, **options):
        reached.set()
        assert go.wait(DEADLINE)
        real(*args, **options)

    monkeypatch.setattr(atomic, "replace", replace)
    yield reached, go
    go.set()


async def turns(count=200):
    """The loop goes round; this would not come back if something held it up."""
    for _ in range(count):
        await asyncio.sleep(0)


async def reached_by(event):
    async with asyncio.timeout(DEADLINE):
        while not event.is_set():  # noqa: ASYNC110 - an event of threads
            await asyncio.sleep(0.001)


async def test_read_write_update(path):
    file = StateFile(path, default=0)
    assert await file.read_async() == 0
    await file.write_async(5)
    assert await file.update_async(lambda value: value + 1) == 6

    async def doubled(value):
        await asyncio.sleep(0)
        return value * 2

    assert await file.update_async(doubled) == 12
    assert file.read() == await file.read_async() == 12
    with pytest.raises(ZeroDivisionError):
        await file.update_async(lambda value: value / 0)
    with pytest.raises(UsageError):
        await file.write_async(object())
    assert file.read() == 12


@pytest.mark.parametrize(
    "use",
    [
        lambda file: file.write_async(1),
        lambda file: file.update_async(lambda _: 1),
        lambda file: file.lock_async().__aenter__(),
    ],
    ids=["write", "update", "lock"],
)
async def test_the_loop_goes_on_while_one_waits_for_the_lock(path, held, use):
    waiting = asyncio.create_task(use(StateFile(path)))
    await turns()
    assert not waiting.done()
    assert await StateFile(path, default="free").read_async() == "free"  # readers never wait
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held()
    StateFile(path, lock_timeout=0).write(1)  # nothing of it is left


async def test_who_waits_gets_it(path, held):
    waiting = asyncio.create_task(StateFile(path).write_async(1))
    await turns()
    held()
    await waiting
    assert StateFile(path).read() == 1


async def test_not_free_in_time(path, held):
    with pytest.raises(LockTimeout, match=r"not free within 0.05 s"):
        await StateFile(path, lock_timeout=0.05).write_async(1)
    with pytest.raises(LockTimeout, match=r"not free within 0.01 s"):
        async with StateFile(path).lock_async(0.01):
            pass
    assert not path.exists()


async def test_many_take_turns_although_all_threads_of_the_loop_are_taken(path):
    """Those of asyncio.to_thread() wait for the lock too; the holder needs none of them."""
    file, other = StateFile(path, default=0), StateFile(path, default=0)
    async with file.lock_async():
        blocked = [asyncio.create_task(asyncio.to_thread(other.update, lambda n: n + 1)) for _ in range(40)]
        asyncs = [asyncio.create_task(file.update_async(lambda n: n + 1)) for _ in range(40)]
        await turns()
        await file.write_async(1000)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*blocked, *asyncs)
    assert file.read() == 1080


async def test_the_holder_is_a_task_not_a_thread(path):
    file = StateFile(path, lock_timeout=0.05)
    async with file.lock_async():
        await file.write_async(1)
        file.write(2)
        assert await file.update_async(lambda n: n + 1) == 3
        async with file.lock_async():
            pass
        await file.write_async(4)
        for child in (file.write_async(5), asyncio.to_thread(file.write, 5)):  # made inside, and not the holder
            with pytest.raises(LockTimeout):
                await asyncio.create_task(child)
    with file.lock():
        with pytest.raises(LockTimeout):
            await asyncio.create_task(file.write_async(6))
        await file.write_async(7)
    assert file.read() == 7


async def test_cancelled_while_it_writes(path, slow_disk):
    """The lock is not given back while the thread still writes."""
    reached, go = slow_disk
    writing = asyncio.create_task(StateFile(path).write_async("whole"))
    await reached_by(reached)
    for _ in range(3):
        writing.cancel()
        await turns(20)
        assert not writing.done()
    with pytest.raises(LockTimeout):
        StateFile(path, lock_timeout=0).write("other")
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert StateFile(path).read() == "whole"
    StateFile(path, lock_timeout=0).write("other")


async def test_a_slow_disk_holds_up_one_task(path, slow_disk):
    reached, go = slow_disk
    writing = asyncio.create_task(StateFile(path).write_async(1))
    await reached_by(reached)
    await turns()
    go.set()
    await writing


async def test_a_write_that_fails(path, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "replace", fails)
        with pytest.raises(OSError, match="No space"):
            await StateFile(path).write_async(1)
    await StateFile(path, lock_timeout=0).write_async(1)


async def test_a_damaged_file(path, held):
    path.write_bytes(b"half")
    began = time.monotonic()
    with pytest.raises(FileDamaged) as caught:
        await StateFile(path, lock_timeout=0.05).read_async()
    assert caught.value.copy == ""  # who holds the lock may be about to mend it
    held()
    file = StateFile(path)
    for use in (file.read_async, lambda: file.update_async(lambda value: value)):
        with pytest.raises(FileDamaged) as caught:
            await use()
        assert caught.value.copy == f"{path}.damaged"
    assert time.monotonic() - began < file._lock_timeout  # update_async did not wait for its own lock
    assert path.read_bytes() == b"half"


async def test_watching_a_damaged_file_holds_up_nobody(path, held):
    file = StateFile(path, lock_timeout=0.2)
    changes = file.changes(poll=0.01)
    path.write_bytes(b"half")
    waiting = asyncio.create_task(anext(changes))
    await turns()
    with pytest.raises(FileDamaged):
        await waiting
