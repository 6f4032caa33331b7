"""A script worker as its pool sees it: what it was given, what it has said, what it has printed."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.errors import LinkError
from rookery.pool.processes.member import Member
from rookery.pool.scripts import words
from rookery.worker.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rookery.pool.processes.one_task import Task
    from rookery.pool.scripts.engine import ScriptEngine
    from rookery.pool.scripts.handle import ScriptHandle
    from rookery.pool.segments.lender import Lender

_KEPT = 64 * 1024
_LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class WorkerOutput:
    """What a worker has printed, the last 64 KiB of each stream; ignored: how many of its messages meant nothing."""

    stdout: str
    stderr: str
    ignored: int


class ScriptMember(Member):
    """Guarded by the engine's lock. Made in the pool's thread, and used there, but for send() and recall().

    sent: one task, or none. inbox: what it has said and nobody has looked at yet. ignored: messages that mean nothing.
    """

    def __init__(self, name: str, engine: ScriptEngine) -> None:
        super().__init__(name)
        self.inbox: deque[Any] = deque()
        self.stdout = Tail(_KEPT)
        self.stderr = Tail(_KEPT)
        self.ignored = 0
        self.has_said_ready = False
        self.asked: dict[int, asyncio.Future[Any]] = {}
        self._link: ScriptHandle | None = None
        self._engine = engine
        self.loop = asyncio.get_running_loop()
        self._began = 0.0
        self._unwritten: Task | None = None
        self._writing: Task | None = None
        self._written: Task | None = None
        self._questions = itertools.count(1)
        self._tasks: set[asyncio.Task[object]] = set()

    def _open(self) -> None:
        """See Member: its connection is made with its process."""
        self.is_open = True

    def is_given(self) -> None:
        """See Member."""

    def belongs_to(self, link: ScriptHandle) -> None:
        """Its process runs."""
        self._link = link

    @property
    def last_words(self) -> str:
        """See Member."""
        return "\n".join(self.stderr.lines(_LAST_LINES))

    @property
    def output(self) -> WorkerOutput:
        """What it has printed."""
        return WorkerOutput(self.stdout.text, self.stderr.text, self.ignored)

    def at_work(self) -> tuple[int, float]:
        """See Member."""
        number = next(iter(self.sent), 0)
        return (number, self._began) if number else (0, 0.0)

    # -- tasks ------------------------------------------------------------------------------------------------------

    @property
    def _may_be_told(self) -> bool:
        return self._link is not None and self._link.connected and self.killed_for is None

    def send(self, task: Task, lender: Lender, flags: int) -> bool:  # noqa: ARG002
        """See Member: one at a time."""
        if self.sent or not self._may_be_told:
            return False
        task.member = self
        self.sent[task.number] = task
        self._began = monotonic()
        self._unwritten = task
        if asyncio._get_running_loop() is self.loop:  # noqa: SLF001 - None where there is none
            self._write(task)
        else:
            self.loop.call_soon_threadsafe(self._write, task)
        return True

    def _write(self, task: Task) -> None:
        with self._engine.lock:
            if self._unwritten is not task or not self._may_be_told:
                return  # taken back, or about to be
            self._unwritten, self._writing, self._written = None, task, None
        self._begin(self._give(task))

    async def _give(self, task: Task) -> None:
        if await self._say(task.payload):
            self._writing, self._written = None, task

    def recall(self, lender: Lender) -> list[Task]:  # noqa: ARG002
        """See Member: the task that it has not been told of yet, or has left without reading."""
        task, self._unwritten = self._unwritten, None
        link = self._link
        if task is None and link is not None and not link.connected:
            task = self._writing or (self._written if link.is_unread else None)
        if task is None or self.sent.pop(task.number, None) is None:
            return []
        task.member = None
        return [task]

    # -- other words ------------------------------------------------------------------------------------------------

    def ask(self) -> asyncio.Future[Any]:
        """Its answer to a status request; None where it ends before."""
        number = next(self._questions)
        future = self.asked[number] = self.loop.create_future()
        future.add_done_callback(lambda _: self.asked.pop(number, None))
        self._written = None  # what it has not read may be this
        self._begin(self._say({"type": words.STATUS, "id": number}))
        return future

    def no_more_tasks(self) -> None:
        """See Member: it is told so, and loses its channel."""
        self._begin(self._take_leave())

    async def _take_leave(self) -> None:
        if self._link is None:
            return
        if not self._engine.words.is_plain:
            await self._say({"type": words.STOP})
        await self._link.disconnect()

    async def _say(self, message: Any) -> bool:
        """Whether it was sent; where not, its end is noticed elsewhere."""
        if self._link is None:
            return False
        try:
            await self._link.send(message)
        except LinkError:
            return False
        return True

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the end ----------------------------------------------------------------------------------------------------

    def leave_to_parent(self) -> None:
        """See Member."""
        if self._link is not None:
            self._link.leave_to_parent()

    def close(self) -> None:
        """See Member. What it has printed is kept."""
        self.is_open = False
        self.inbox.clear()
        for task in self._tasks:
            task.cancel()
        for future in list(self.asked.values()):
            if not future.done():
                future.set_result(None)
