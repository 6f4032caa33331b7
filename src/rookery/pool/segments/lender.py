"""Big payloads through shared memory that is used again and again.

    Lender                                              Borrower
      lend(parts) --copies--> segment == same memory == mapping --take()--> views, arrays over them
      give_back(number) <---- the numbers that released() tells <---- the last view is gone

A fresh segment costs more than a socket (the kernel clears each page), one that both sides have mapped already costs a
memcpy. A segment is lent to one receiver at a time, and not used again before it says so: what a task keeps stays as it
is. Each loan has a number of its own, so an answer that comes late gives nothing back that somebody else has by now.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from rookery.errors import Disconnected, UsageError
from rookery.pool.segments.borrower import Borrower

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import Self

    from rookery.pool.segments.memory import Segment

__all__ = ["Borrower", "Lender", "Loan", "plan"]

_MEMORY = "rookery.pool.segments.memory"  # imported at the first need: most pools never lend anything
_ALIGNMENT = 64
_SMALL = 64 << 10  # bytes; a segment up to here fits everything smaller
_AT_ONCE = 8 << 20  # bytes copied before other threads may have their turn
_MOST_FREE = 32  # segments; each holds a descriptor
_MOST_LENT = 128  # segments that wait for their return; more are given away for good
_SERIALS = 1 << 32


class Loan(NamedTuple):
    """What the receiver needs: number, descriptor (the lender's own: send a copy, do not close it), bytes of the
    segment, and (start, length) of each part.
    """

    number: int
    fd: int
    size: int
    offsets: tuple[tuple[int, int], ...]


class Lender:
    """Lends parts of messages to receivers, one segment each.

    keep: bytes that may wait for their next use (256 MiB); beyond that the memory goes back to the system at once.
    Thread-safe; copies run at the same time. In a forked copy of the process it starts anew and harms nothing.
    """

    def __init__(self, keep: int = 256 << 20) -> None:
        self._keep = keep
        self._lock = threading.RLock()  # a finaliser may come in the middle
        self._pid = os.getpid()
        self._free: list[Segment] = []  # the longest unused first
        self._lent: dict[int, Segment] = {}  # by number of the segment, in the order of lending
        self._next = 1
        self._closed = False

    def lend(self, parts: Sequence[bytes | bytearray | memoryview], receiver: Hashable = None) -> Loan:
        """Copy parts (contiguous) into a segment that nobody uses. receiver: who it is for, see forget().

        Raises SharedMemoryError where there is no memory or no descriptor to be had, UsageError after close(),
        Disconnected where the receiver was forgotten meanwhile.
        """
        views = [memoryview(part).cast("B") if memoryview(part).nbytes else memoryview(b"") for part in parts]
        offsets, need = plan([view.nbytes for view in views])
        segment, number, memory = self._take(need, receiver)
        try:
            for view, (start, length) in zip(views, offsets, strict=True):
                for done in range(0, length, _AT_ONCE):
                    end = min(done + _AT_ONCE, length)
                    memory[start + done : start + end] = view[done:end]
        except BaseException:
            self.give_back(number)
            raise
        fd = segment.fd
        if fd < 0:  # forget() or close() came from another thread
            raise Disconnected("the receiver of this message is gone, or its lender closed")
        return Loan(number, fd, segment.size, offsets)

    def _take(self, need: int, receiver: Hashable) -> tuple[Segment, int, memoryview]:
        with self._lock:
            self._check_open()
            if self._pid != os.getpid():
                self._begin_anew()
            segment = self._best(need, receiver)
            if segment is None:
                number, self._next = self._next, self._next + 1
            else:
                self._free.remove(segment)
                return segment, self._note(segment, receiver), segment.memory
        segment = importlib.import_module(_MEMORY).create(number, need)  # takes long: not under the lock
        with self._lock:
            try:
                self._check_open()
            except UsageError:
                segment.close()
                raise
            return segment, self._note(segment, receiver), segment.memory

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this lender of shared memory is closed")

    def _note(self, segment: Segment, receiver: Hashable) -> int:
        segment.serial = (segment.serial + 1) % _SERIALS
        segment.receiver = receiver
        segment.is_sent = False
        segment.unused_since = None
        self._lent[segment.number] = segment
        return segment.number * _SERIALS + segment.serial

    def _best(self, need: int, receiver: Hashable) -> Segment | None:
        """The smallest that is large enough, before others one that this receiver has mapped; none far too large."""
        best = None
        score = (True, 0)
        for segment in self._free:
            if need <= segment.size <= max(2 * need, _SMALL):
                found = (segment.receiver != receiver, segment.size)
                if best is None or found < score:
                    best, score = segment, found
        return best

    def sent(self, number: int) -> None:
        """The message with this loan's descriptor is under way.

        Optional: it lets the lender close descriptors of the oldest loans where very many are kept by receivers.
        """
        with self._lock:
            segment = self._lent.get(number // _SERIALS)
            if segment is None or segment.serial != number % _SERIALS:
                return
            segment.is_sent = True
            if len(self._lent) > _MOST_LENT:
                oldest = next((lent for lent in self._lent.values() if lent.is_sent), segment)
                del self._lent[oldest.number]
                oldest.close()  # the receiver has a mapping of its own: the memory is its alone from now on

    def give_back(self, number: int) -> None:
        """The receiver has let go of a loan (or it was never sent). What is not on loan is ignored."""
        with self._lock:
            segment = self._lent.get(number // _SERIALS)
            if segment is None or segment.serial != number % _SERIALS or self._pid != os.getpid():
                return
            del self._lent[segment.number]
            self._free.append(segment)
            self._shrink()

    def give_back_all(self, numbers: Iterable[int]) -> None:
        """The same for many."""
        for number in numbers:
            self.give_back(number)

    def forget(self, receiver: Hashable) -> None:
        """A receiver is gone. What it had is not used again, for its own children may see it: it is let go of."""
        with self._lock:
            for segment in [lent for lent in self._lent.values() if lent.receiver == receiver]:
                del self._lent[segment.number]
                segment.close()
            for segment in self._free:
                if segment.receiver == receiver:
                    segment.receiver = None

    def trim(self, now: float, idle: float = 10.0) -> None:
        """Give memory back to the system that was not used for ``idle`` seconds; call it now and then. now: seconds of
        any steady clock.
        """
        with self._lock:
            for segment in list(self._free):
                if segment.unused_since is None:
                    segment.unused_since = now
                elif now - segment.unused_since >= idle:
                    self._free.remove(segment)
                    segment.discard()

    def _shrink(self) -> None:
        total = sum(segment.size for segment in self._free)
        while self._free and (total > self._keep or len(self._free) > _MOST_FREE):
            segment = self._free.pop(0)
            total -= segment.size
            segment.discard()

    def _begin_anew(self) -> None:
        """In a fork: the memory and the loans are the parent's, the descriptors are copies of ours."""
        for segment in [*self._free, *self._lent.values()]:
            segment.close()
        self._free, self._lent = [], {}
        self._pid = os.getpid()

    @property
    def kept(self) -> int:
        """Bytes that wait for their next use."""
        with self._lock:
            return sum(segment.size for segment in self._free)

    @property
    def lent(self) -> int:
        """How many segments are on loan."""
        return len(self._lent)

    def close(self) -> None:
        """Let go of everything; what receivers have stays theirs. May come again."""
        with self._lock:
            self._closed = True
            is_ours = self._pid == os.getpid()
            for segment in self._free:
                segment.discard() if is_ours else segment.close()
            for segment in self._lent.values():
                segment.close()
            self._free, self._lent = [], {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plan(lengths: Iterable[int]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Where parts of these lengths lie in a segment, and the bytes that it needs."""
    offsets = []
    start = 0
    for length in lengths:
        offsets.append((start, length))
        start += -(-length // _ALIGNMENT) * _ALIGNMENT
    return tuple(offsets), start
