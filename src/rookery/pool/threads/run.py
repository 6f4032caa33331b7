"""What happens in the thread of a ThreadWorker; holds nothing of the owner's side, so that this can be forgotten."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from rookery.errors import Disconnected
from rookery.pool.threads import registry as thread_registry
from rookery.pool.threads.channel import AsyncThreadChannel, ThreadChannel
from rookery.pool.threads.lane import Lane
from rookery.worker.function import wants_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.pool.threads.channel import Passing

_log = logging.getLogger("rookery.pool")


class Run:
    """One call of the function. inward: to the thread; outward: from it; outcome: what the function gives or raises."""

    def __init__(self, function: Callable[..., Any], data: Any, *, name: str, limit: int, passing: Passing) -> None:
        self.name = name
        self.inward = Lane(limit)
        self.outward = Lane(limit)
        self.outcome: Future[Any] = Future()
        self.outcome.set_running_or_notify_cancel()
        self.error: BaseException | None = None
        self.is_seen = False
        self.is_forgotten = False
        self._ended = False
        side = AsyncThreadChannel if inspect.iscoroutinefunction(function) else ThreadChannel
        self._channel = side(self.inward, self.outward, passing, data)
        self._function = function
        self._context = contextvars.copy_context()
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError where the system has none left."""
        thread_registry.add(self)
        try:
            self.thread.start()
        except BaseException:
            thread_registry.remove(self)
            raise

    @property
    def is_running(self) -> bool:
        """Whether the function has not ended."""
        return not self._ended

    def disconnect(self) -> None:
        """The thread gets what was sent by now, and then the end."""
        self.inward.close(lambda: Disconnected(f"the owner of {self.name} has disconnected"))

    def leave(self) -> None:
        """The same, and nobody receives what the thread sends."""
        self.disconnect()
        self.outward.close(lambda: Disconnected(f"the owner of {self.name} has left"), drop=True)

    def at_exit(self) -> None:
        """See thread_registry.Owner."""
        self.leave()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def after_fork(self) -> None:
        """See thread_registry.Owner."""
        thread_registry.remove(self)
        for lane in (self.inward, self.outward):
            lane.forget()
            lane.close(
                lambda: Disconnected(f"the thread of {self.name} is in the process that this one was forked from")
            )
        self._ended = True

    def forgotten(self) -> None:
        """Nobody has the owner's side any more."""
        self.leave()
        self.is_forgotten = True
        self.tell()

    def tell(self) -> None:
        """Log an error that nobody can see otherwise."""
        if self.error is not None and not self.is_seen:
            self.is_seen = True
            _log.error("the thread %s ended with an error that nobody saw", self.name, exc_info=self.error)

    def _main(self) -> None:
        try:
            outcome = self._context.run(self._call)
        except Disconnected as error:
            # Whoever lets this through when the owner leaves has done nothing wrong.
            self._end(None, error if self.inward.is_open else None)
        except BaseException as error:
            self._end(None, error)
        else:
            self._end(outcome, None)

    def _call(self) -> Any:
        has_data = wants_data(self._function)
        made = self._function(self._channel, self._channel.data) if has_data else self._function(self._channel)
        return asyncio.run(_awaited(made)) if inspect.isawaitable(made) else made

    def _end(self, value: Any, error: BaseException | None) -> None:
        self.error = error
        self._ended = True
        trace = None if error is None else error.__traceback__

        def why() -> BaseException:
            if error is None:
                return Disconnected(f"the thread {self.name} has ended")
            self.is_seen = True
            return error.with_traceback(trace)  # else each raise would make it longer

        self.inward.close(why, drop=True)
        self.outward.close(why)
        if error is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(value)
        thread_registry.remove(self)
        if self.is_forgotten:
            self.tell()


async def _awaited(made: Any) -> Any:
    return await made
