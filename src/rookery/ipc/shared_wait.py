"""Sleeping until an element changes, and waking who sleeps; between processes, threads and event loops.

Waiters sleep on one of a few counters in the first page, chosen by index. A notifier counts it up under the lock, then
wakes all who sleep on it; each of them looks at its own element and sleeps on if that is as before. So a notification
between look and sleep is not lost (the counter is another by then), and who is killed leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING

from rookery._os import futex
from rookery.ipc.shared_header import WORDS, WORDS_AT

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

_NAP = 0.5
"""Seconds of one sleep at most: signals are looked at, and a notifier without futexes is noticed."""
_FIRST_PAUSE, _LAST_PAUSE = 0.00005, 0.02
_WRAP = 0xFFFFFFFF


class Bells:
    """The counters of one segment in this process. Any thread."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._counts = memoryview(memory)[WORDS_AT : WORDS_AT + 4 * WORDS].cast("I")
        self._calls = futex.calls() if futex.available() else None
        self._words = [self._calls.word(memory, WORDS_AT + 4 * at) for at in range(WORDS)] if self._calls else []

    def count(self, position: int) -> int:
        """What the element's counter says; ask it under the lock, together with the element."""
        return self._counts[position % WORDS]

    def advance(self, position: int) -> None:
        """Count up; under the lock, before ring()."""
        counts, at = self._counts, position % WORDS
        counts[at] = (counts[at] + 1) & _WRAP

    def ring(self, position: int) -> int:
        """Wake who sleeps on the element's counter; how many did (0 where they poll)."""
        return self._calls.wake(self._words[position % WORDS]) if self._calls else 0

    def sleep(self, position: int, seen: int, round_: int, most: float) -> None:
        """Until the counter is not what was seen, at most some seconds; may return for no reason."""
        if self._calls is None:
            time.sleep(min(most, _LAST_PAUSE, _FIRST_PAUSE * 1.5 ** min(round_, 30)))
        else:
            self._calls.wait(self._words[position % WORDS], seen, min(most, _NAP))


def sleep_until(
    look: Callable[[], tuple[bool, int]],
    bells: Bells,
    position: int,
    timeout: float | None,
    is_given_up: Callable[[], bool] = lambda: False,
) -> bool:
    """Until look() says (True, counter); False after timeout seconds, or when it is given up."""
    until = None if timeout is None else time.monotonic() + timeout
    round_ = 0
    while True:
        is_done, seen = look()
        if is_done:
            return True
        left = _NAP if until is None else until - time.monotonic()
        if left <= 0 or is_given_up():
            return False
        bells.sleep(position, seen, round_, left)
        round_ += 1


async def in_thread(sleep: Callable[[Callable[[], bool]], bool], wake: Callable[[], object]) -> bool:
    """sleep(is_given_up) in a thread of its own. A cancelled caller gives it up, and wakes it by wake().

    Not in the loop's pool of threads: a few dozen sleepers would stop everything else there.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()
    given_up = threading.Event()

    def settle(result: bool, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    def work() -> None:
        result, error = False, None
        try:
            result = sleep(given_up.is_set)
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="rookery-shared-wait", daemon=True).start()
    try:
        return await answer
    finally:
        if not answer.done() or answer.cancelled():
            given_up.set()
            wake()
