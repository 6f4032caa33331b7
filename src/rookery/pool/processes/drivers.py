"""Who reads the workers' answers: the event loop of the caller while it alone has tasks, else the pool's own thread.

A loop that reads for itself needs no other thread to be woken for it, which is half of a round trip. As soon as
somebody else submits, or the loop's tasks are joined by a plain submit(), the thread reads for all: a loop may be
blocked, a thread of ours is not. Both may read for a moment; each answer is read once, under the engine's lock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rookery.pool.processes.interrupts import NoInterrupts

if TYPE_CHECKING:
    import asyncio

    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.engine import Engine
    from rookery.pool.processes.member import Member

_BACK_OFF = 0.0005


class Drivers:
    """Guarded by the engine's lock. own: the loop of the pool's thread."""

    def __init__(self, engine: Engine, own: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._own = own
        self._members: dict[Member, asyncio.AbstractEventLoop | None] = {}
        """Who is there, and the loop of a caller that reads it, or None."""
        self._watched: dict[Member, set[asyncio.AbstractEventLoop]] = {}
        """The loops of callers that know a descriptor of ours: it is not closed, and its number not used again, before
        they have let go of it."""
        engine.home = None

    @property
    def home(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the caller who reads, None for the pool's own thread."""
        return self._engine.home  # type: ignore[no-any-return]

    def takes_over(self, future: PoolFuture[Any] | LoopFuture[Any]) -> None:
        """See Hooks."""
        home = future.home
        if home is self.home:
            return
        if home is None or self._engine.pending:  # of others: this one does not count yet
            if self.home is not None:
                self.to_thread()
        elif self.home is None or self.home is not home:
            self._to_loop(home)

    def _to_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called in that loop."""
        self.to_thread()
        with NoInterrupts():
            self._engine.home = loop
            for member in self._members:
                self._read_in(loop, member)
            _call(self._own, self._stop_reading_here)

    def to_thread(self) -> None:
        """The thread reads: a loop may stand still, or be closed, as one does that waits for us. The lock is held."""
        with NoInterrupts():
            loop, self._engine.home = self.home, None
            if loop is None:
                return
            for member, reader in list(self._members.items()):
                if reader is not None:
                    self._members[member] = None
                    self._ask_to_let_go(reader, member)
            _call(self._own, self._read_here)

    def add(self, member: Member) -> None:
        """A new worker, whose connections are open. In the pool's thread."""
        with self._engine.lock:
            self._members[member] = None
            if self.home is None:
                self._own.add_reader(member.replies.fileno(), self._read_own, member)
            elif not _call(self.home, self._join, self.home, member):
                self.to_thread()

    def _join(self, loop: asyncio.AbstractEventLoop, member: Member) -> None:
        with self._engine.lock:
            if self.home is loop and member in self._members and self._members[member] is None:
                self._read_in(loop, member)

    def _read_in(self, loop: asyncio.AbstractEventLoop, member: Member) -> None:
        if not member.is_at_end:
            self._members[member] = loop
            self._watched.setdefault(member, set()).add(loop)
            loop.add_reader(member.replies.fileno(), self._read_for, loop, member)

    def remove(self, member: Member) -> None:
        """A worker's answers have all been read: let go of its connections. In the pool's thread."""
        with self._engine.lock:
            self._members.pop(member, None)
            if member.is_open:
                self._own.remove_reader(member.replies.fileno())
            for one in [member, *(left for left in self._watched if left not in self._members)]:
                for loop in list(self._watched.get(one, ())):
                    self._ask_to_let_go(loop, one)
                self._maybe_close(one)

    def _ask_to_let_go(self, loop: asyncio.AbstractEventLoop, member: Member) -> None:
        """The lock is held."""
        if not loop.is_running() or not _call(loop, self._let_go, loop, member):
            self._let_go(loop, member)  # it stands still, between two runs, or is closed

    def _let_go(self, loop: asyncio.AbstractEventLoop, member: Member) -> None:
        with self._engine.lock:
            loops = self._watched.get(member)
            if loops is None or loop not in loops or self._members.get(member) is loop:  # done, or read there again
                return
            loops.discard(loop)
            if not loop.is_closed():
                loop.remove_reader(member.replies.fileno())
            self._maybe_close(member)

    def _maybe_close(self, member: Member) -> None:
        if not self._watched.get(member):
            self._watched.pop(member, None)
            if member not in self._members:
                member.close()

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read_own(self, member: Member) -> None:
        engine = self._engine
        if self.home is not None:
            self._own.remove_reader(member.replies.fileno())
            return
        if time.monotonic() - engine.pumped_at < _BACK_OFF:
            time.sleep(_BACK_OFF)  # who submits reads too; the two would only be in each other's way
        engine.take(member)
        if member.is_at_end:
            self._own.remove_reader(member.replies.fileno())
        engine.settle()

    def _read_for(self, loop: asyncio.AbstractEventLoop, member: Member) -> None:
        engine = self._engine
        with NoInterrupts():
            if self.home is loop:
                engine.take(member)
            if self.home is not loop or member.is_at_end:
                with engine.lock:
                    if self._members.get(member) is loop:
                        self._members[member] = None
                    self._let_go(loop, member)
            engine.settle()

    def _read_here(self) -> None:
        with self._engine.lock:
            if self.home is None:
                for member in self._members:
                    if member.is_open and not member.is_at_end:
                        self._own.add_reader(member.replies.fileno(), self._read_own, member)

    def _stop_reading_here(self) -> None:
        with self._engine.lock:
            if self.home is not None:
                for member in self._members:
                    if member.is_open:
                        self._own.remove_reader(member.replies.fileno())

    def close(self) -> None:
        """Nobody reads any more. In the pool's thread."""
        for member in list(self._members):
            self.remove(member)


def _call(loop: asyncio.AbstractEventLoop, call: Any, *args: Any) -> bool:
    """Whether that loop will call it."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:  # closed
        return False
    return True
