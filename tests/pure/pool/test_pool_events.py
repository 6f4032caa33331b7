from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from rookery.errors import UsageError
from rookery.pool.rules.events import KINDS, Listeners, PoolEvent


def test_a_listener_hears_its_kind_alone():
    listeners, heard = Listeners(), []
    listeners.on("task_failed", heard.append)
    error = ValueError("no")
    listeners.emit("task_completed", 1.0, task="a")
    listeners.emit("task_failed", 2.0, task="b", worker="w", reason="why", error=error)
    assert heard == [PoolEvent("task_failed", 2.0, "b", "w", "why", error)]


def test_a_star_hears_everything_in_order():
    listeners, heard = Listeners(), []
    listeners.on("*", lambda event: heard.append(event.kind))
    for kind in sorted(KINDS):
        listeners.emit(kind, 0.0)
    assert heard == sorted(KINDS)
    assert len(KINDS) == 12


@pytest.mark.parametrize(
    ("kind", "tasks", "workers"),
    [("task_queued", True, False), ("worker_exited", False, True), ("*", True, True)],
)
def test_the_test_before_emit(kind, tasks, workers):
    listeners = Listeners()
    assert (listeners.tasks, listeners.workers) == (False, False)
    remove = listeners.on(kind, print)
    assert (listeners.tasks, listeners.workers) == (tasks, workers)
    remove()
    remove()
    assert (listeners.tasks, listeners.workers) == (False, False)


def test_one_function_registered_twice_is_taken_away_once():
    listeners, heard = Listeners(), []
    first = listeners.on("worker_ready", heard.append)
    listeners.on("worker_ready", heard.append)
    first()
    listeners.emit("worker_ready", 0.0)
    assert len(heard) == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), asyncio.CancelledError()])
def test_one_that_fails_is_logged_and_disturbs_nobody(error, caplog):
    listeners, heard = Listeners(), []

    def fails(event):
        raise error

    listeners.on("task_started", fails)
    listeners.on("task_started", heard.append)
    with caplog.at_level(logging.ERROR, logger="rookery.pool"):
        listeners.emit("task_started", 0.0)
    assert len(heard) == 1
    assert [(record.name, record.exc_info[1]) for record in caplog.records] == [("rookery.pool", error)]


def test_an_interrupt_from_the_keyboard_goes_through():
    listeners = Listeners()

    def interrupted(event):
        raise KeyboardInterrupt

    listeners.on("*", interrupted)
    with pytest.raises(KeyboardInterrupt):
        listeners.emit("task_started", 0.0)


def test_a_listener_may_add_and_remove_while_it_is_told():
    listeners, heard = Listeners(), []

    def once(event):
        remove()
        listeners.on("task_queued", heard.append)

    remove = listeners.on("task_queued", once)
    listeners.emit("task_queued", 1.0)
    assert heard == []
    listeners.emit("task_queued", 2.0)
    assert [event.at for event in heard] == [2.0]


def test_what_cannot_be_listened_to():
    listeners = Listeners()
    with pytest.raises(UsageError, match="no event 'task_ended'") as caught:
        listeners.on("task_ended", print)
    assert "task_completed" in caught.value.hint

    async def later(event): ...

    with pytest.raises(UsageError, match="plain functions"):
        listeners.on("*", later)


def test_many_threads_come_and_go():
    listeners = Listeners()
    stays = [listeners.on("*", lambda event: None)]

    def come_and_go():
        for _ in range(300):
            listeners.on("task_started", lambda event: None)()
        stays.append(listeners.on("task_started", lambda event: None))

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listeners._calls["task_started"]) == 5
    for remove in stays:
        remove()
    assert (listeners.tasks, listeners.workers) == (False, False)
