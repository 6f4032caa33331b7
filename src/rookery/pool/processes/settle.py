"""The last step of a task: its answer is decoded, and its future gets it. Runs outside of the engine's lock."""

from __future__ import annotations

import asyncio
import logging
from pickle import loads
from typing import TYPE_CHECKING, Any

from rookery.errors import ResultNotSent, TaskTimeout
from rookery.pool.future import LoopFuture, PoolFuture
from rookery.pool.processes import wire
from rookery.pool.values.pickling import decode, decode_error

if TYPE_CHECKING:
    from rookery.pool.processes.answers import Answers
    from rookery.pool.processes.one_task import Task
    from rookery.pool.rules.events import Kind

_log = logging.getLogger("rookery.pool")
_PICKLE = 0x80
"""A plain pickle's first byte; decode() knows the others."""
_PROGRESS_OR_BEGUN = (wire.PROGRESS, wire.BEGUN, wire.NEWS)
_OF_MEMBERS = (wire.READY, wire.START_FAILED)
_NO_END = frozenset({*_PROGRESS_OR_BEGUN, *_OF_MEMBERS})


Answer = tuple[Any, int, Any, str, float]
"""What a worker said: of which task (of READY and START_FAILED: which member), kind, payload (of RESULT_BESIDE: the
parts in shared memory), the worker's name, the moment it was so. A tuple, for there is one for each task."""


def is_quiet(answer: Answer) -> bool:
    """Whether settling it runs no code of others, but what unpickling runs."""
    subject, kind, _, _, _ = answer
    if kind in _PROGRESS_OR_BEGUN:
        return False
    return kind in _OF_MEMBERS or not isinstance(subject.future, PoolFuture) or subject.future.is_quiet


def settle(engine: Answers, answers: list[Answer]) -> None:
    """Give each future its result: in its loop, or here where it has none."""
    here = asyncio._get_running_loop()  # noqa: SLF001 - None where there is none
    elsewhere: dict[asyncio.AbstractEventLoop, list[tuple[LoopFuture[Any], Any, BaseException | None]]] = {}
    listeners = engine.listeners
    for task, kind, payload, worker, at in answers:
        if kind in _NO_END:
            _said(engine, task, kind, payload, worker, at)
            continue
        value, error = None, None
        try:
            if kind == wire.RESULT:
                value = loads(payload) if payload[0] == _PICKLE else decode(payload, ())
            elif kind == wire.ERROR or kind == wire.LOST:  # noqa: PLR1714 - as fast as can be
                error = payload if isinstance(payload, BaseException) else decode_error(payload)
            elif kind == wire.VALUE:
                value = payload
            else:
                stream, *buffers = payload
                value = decode(stream, buffers)
        except BaseException as failed:  # also what means to end this process
            why = f"{type(failed).__name__}: {failed}"
            error = ResultNotSent(f"the result of task {task.name} cannot be unpickled", why=why)
            error.__cause__ = failed
            with engine.lock:
                engine.ledger.came_to_nothing()
        if listeners.tasks:
            what: Kind = "task_completed" if error is None else "task_failed"
            if kind == wire.LOST and isinstance(error, TaskTimeout):
                what = "task_timed_out"
            listeners.emit(what, at, task=task.name, worker=worker, error=error)
        future = task.future
        loop = future.home
        if loop is None or loop is here:
            _give(task, future, value, error)
        else:
            assert isinstance(future, LoopFuture)
            elsewhere.setdefault(loop, []).append((future, value, error))
    for loop, ones in elsewhere.items():
        post(loop, ones)


def _give(task: Task, future: PoolFuture[Any] | LoopFuture[Any], value: Any, error: BaseException | None) -> None:
    try:
        future.settle(value, error)
    except BaseException:  # of a callback, in the middle of the answers of others: not even SystemExit gets through
        _log.exception("a callback of the future of task %s failed", task.name)


def post(loop: asyncio.AbstractEventLoop, ones: list[tuple[LoopFuture[Any], Any, BaseException | None]]) -> None:
    """Settle futures of another thread's loop, with one wake-up."""
    try:
        loop.call_soon_threadsafe(_settle_all, ones)
    except RuntimeError:  # closed: nobody is left there who could take them
        return


def _settle_all(ones: list[tuple[LoopFuture[Any], Any, BaseException | None]]) -> None:
    for future, value, error in ones:
        future.settle(value, error)


def _said(engine: Answers, subject: Any, kind: int, payload: Any, worker: str, at: float) -> None:
    """What is no task's end."""
    if kind in _OF_MEMBERS:
        if kind == wire.START_FAILED:
            subject.start_error = decode_error(payload)
        engine.hooks.is_ready(subject)
        return
    task, listeners = subject, engine.listeners
    if kind == wire.BEGUN:
        if listeners.tasks:
            listeners.emit("task_started", at, task=task.name, worker=worker)
        return
    try:
        value = payload if kind == wire.NEWS else decode(payload, ())
    except Exception:
        _log.exception("the progress of task %s cannot be unpickled", task.name)
        return
    if listeners.tasks:
        listeners.emit("task_progress", at, task=task.name, worker=worker, value=value)
    callback = task.options.on_progress
    if callback is None:
        return
    home = task.future.home
    if home is None or home is asyncio._get_running_loop():  # noqa: SLF001 - None where there is none
        _call(callback, value)
    else:
        try:
            home.call_soon_threadsafe(_call, callback, value)
        except RuntimeError:  # closed
            return


def _call(callback: Any, value: Any) -> None:
    try:
        callback(value)
    except BaseException:
        _log.exception("the on_progress of a task failed")
