"""A worker as its pool sees it: its connections, what it was given, what is known of it."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
from contextlib import ExitStack, suppress
from time import monotonic
from typing import TYPE_CHECKING

from rookery._base import descriptors
from rookery.errors import RookeryError
from rookery.lifecycle.state import State, next_state
from rookery.pool.processes import wire
from rookery.pool.processes.claims import Claims
from rookery.pool.segments.lender import Borrower

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from rookery.lifecycle.state import Event
    from rookery.pool.processes.one_task import Task
    from rookery.pool.processes.starter import RunningWorker
    from rookery.pool.segments.lender import Lender, Loan

_LARGEST_KNOWN = 5000
_F_ADD_SEALS, _SEALS = 1033, 2 | 4
_KIND = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)


class Member:
    """Guarded by the engine's lock.

    tasks: our end; taken: a copy of the worker's end, to take back what it has not read. sent: the tasks that it was
    given and has not answered, oldest first. holds: the loans of each task that it was given. retires: it gets no more
    tasks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.STOPPED
        self.handle: RunningWorker | None = None
        self.is_ready = False
        self.is_idle = False
        self.slot = -1
        self.retires = ""
        self.leaves = False
        self.reason = ""
        self.timer: asyncio.TimerHandle | None = None
        self.killed_for: BaseException | None = None
        """Why we killed it in the middle of its task: what that task's future is told."""
        self.sent: dict[int, Task] = {}
        self.known: set[int] = set()
        self.holds: dict[int, list[int]] = {}
        self.borrower = Borrower()
        self.rest = b""
        self.done = 0
        self.errors = 0
        self.errors_in_row = 0
        self.created_at = self.last_reply = monotonic()
        self.ready_at = 0.0
        self.idle_since = 0.0
        self.start_error: BaseException | None = None
        self.is_at_end = False
        self.is_garbled = False
        self._open()

    def __repr__(self) -> str:
        return f"<Member {self.name} {self.state} sent={len(self.sent)} done={self.done}>"

    def _open(self) -> None:
        with ExitStack() as made:
            self.tasks, self.taken = map(made.enter_context, socket.socketpair(socket.AF_UNIX, _KIND))
            self.replies, self._their_replies = map(made.enter_context, socket.socketpair())
            self._page_fd = _page()
            made.callback(os.close, self._page_fd)
            self._claims = Claims()
            made.callback(self._claims.close)
            self.page = mmap.mmap(self._page_fd, wire.PAGE_SIZE)
            made.pop_all()
        self.tasks.setblocking(False)
        self.replies.setblocking(False)
        self.is_open = True

    def step(self, event: Event) -> None:
        """Go on in the one state table."""
        self.state = next_state(self.state, event)

    @property
    def ends(self) -> tuple[int, ...]:
        """The descriptors that the worker is started with."""
        return self.taken.fileno(), self._their_replies.fileno(), self._page_fd, self._claims.theirs.fileno()

    def is_given(self) -> None:
        """The worker has its ends; what is not needed here is closed."""
        self._their_replies.close()
        self._claims.theirs.close()
        if self._page_fd >= 0:
            os.close(self._page_fd)
            self._page_fd = -1

    @property
    def pid(self) -> int:
        """The worker's, or 0."""
        return 0 if self.handle is None else self.handle.pid

    @property
    def last_words(self) -> str:
        """Its last lines on stderr, where they are kept."""
        return ""

    def at_work(self) -> tuple[int, float]:
        """The number of the task that it is at and the moment it began it; 0 where it is at none."""
        before = self.page[: wire.PAGE.size]
        while True:  # written in one piece; should a look catch it half, the next does not
            now = self.page[: wire.PAGE.size]
            if now == before:
                return wire.PAGE.unpack(now)
            before = now

    def send(self, task: Task, lender: Lender, flags: int) -> bool:
        """Give it a task; False where it takes no more for now."""
        if task.loan is None and task.function in self.known:
            try:
                self.tasks.send(wire.TASK.pack(task.number, task.function, flags | task.flags, 0) + task.payload)
            except OSError:
                return False
            task.member = self
            self.sent[task.number] = task
            return True
        return self._send_more(task, lender, flags)

    def takes_with_others(self, task: Task) -> bool:
        """Whether it may travel in a packet with others."""
        return task.loan is None and task.function in self.known

    def send_several(self, tasks: Sequence[Task], flags: int) -> bool:
        """Give it all of these in one packet, or none: then False. See takes_with_others()."""
        packet = self._claims.number([task.number for task in tasks], self.sent)
        if not packet:
            return False
        pack = wire.TASK.pack
        parts = [pack(packet, len(tasks), wire.SEVERAL, 0)]
        for task in tasks:
            parts += (pack(task.number, task.function, flags | task.flags, len(task.payload)), task.payload)
        try:
            self.tasks.send(b"".join(parts))
        except OSError:
            self._claims.forget(packet)
            return False
        for task in tasks:
            task.member = self
            self.sent[task.number] = task
        self._claims.grant(packet)
        return True

    def _send_more(self, task: Task, lender: Lender, flags: int) -> bool:
        """Besides the packet itself the function, or what goes through shared memory."""
        definition = b""
        lent: list[int] = []
        if task.function not in self.known:
            definition = task.definition
        try:
            if task.loan is not None:
                lent.append(self._announce(task.loan))
            if len(definition) > wire.INLINE:
                flags |= wire.FUNCTION_BESIDE
                loan = lender.lend([definition])
                lent.append(self._announce(loan))
                definition = wire.described(loan.number, loan.size, loan.offsets)
            head = wire.TASK.pack(task.number, task.function, flags | task.flags, len(definition))
            self.tasks.send(head + definition + task.payload if definition else head + task.payload)
        except (OSError, RookeryError):  # full, gone, or no memory or descriptor is left for what goes beside it
            self._withdraw(task, lent, lender)
            return False
        if definition:
            task.was_defined = True
        if lent:
            self.holds[task.number] = lent
        task.member = self
        self.sent[task.number] = task
        return True

    def _withdraw(self, task: Task, lent: list[int], lender: Lender) -> None:
        """What was lent with a packet that the worker does not get; the task keeps its own loan."""
        for number in lent:
            self._tell(wire.WITHDRAWN, number)
            if task.loan is None or task.loan.number != number:
                lender.give_back(number)

    def knows(self, function: int) -> None:
        """It has answered to a task that took this function along."""
        if len(self.known) >= _LARGEST_KNOWN:
            self.known.clear()
        self.known.add(function)

    def _announce(self, loan: Loan) -> int:
        """Send the descriptor ahead of the packet that needs it: tasks are read without looking for descriptors."""
        descriptors.send(self.replies, wire.FRAME.pack(loan.number, wire.LENT, 0, 0.0, 0.0), [loan.fd])
        return loan.number

    def descriptor(self) -> int:
        """The one that belongs to the result in shared memory that was just read. Raises OSError."""
        return self._claims.descriptor()

    def give_back(self) -> None:
        """Tell the worker of its segments that nothing here refers to any more."""
        for number in self.borrower.released():
            self.release(number)

    def release(self, number: int) -> None:
        """It can use this segment of its own again."""
        self._tell(wire.RELEASED, number)

    def _tell(self, kind: int, number: int) -> None:
        try:
            self.replies.send(wire.FRAME.pack(number, kind, 0, 0.0, 0.0))
        except OSError:  # it is gone, or has not read for long: it goes without that segment
            return

    def recall(self, lender: Lender) -> list[Task]:
        """Take back what it has not read yet, oldest first. The kernel decides who gets each."""
        numbers: list[int] = []
        with suppress(OSError):  # nothing is there
            while packet := self.taken.recv(wire.TASK.size, socket.MSG_DONTWAIT):
                number, _, flags, _ = wire.TASK.unpack(packet)
                numbers += self._claims.forget(number) if flags & wire.SEVERAL else (number,)
        found = []
        for number in (*self._claims.take_back(), *numbers):
            task = self.sent.pop(number, None)
            if task is not None:
                self._withdraw(task, self.holds.pop(number, []), lender)
                task.member = None
                found.append(task)
        return found

    def no_more_tasks(self) -> None:
        """Let it end when it has done what it was given."""
        self.tasks.close()
        self.taken.close()
        self._claims.end()

    def leave_to_parent(self) -> None:
        """In a forked copy of the process: close our copies. Nothing is said to anybody."""
        for one in (self.tasks, self.taken, self.replies, self._claims):
            one.close()

    def close(self) -> None:
        """Let go of all connections. What was borrowed from it stays valid."""
        if self.is_open:
            self.is_open = False
            self.is_given()
            for one in (self.tasks, self.taken, self.replies, self._claims):
                one.close()
            self.page.close()


def _page() -> int:
    """Shared memory for one page, which nobody can shorten."""
    fd = os.memfd_create("rookery-page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, wire.PAGE_SIZE)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd
