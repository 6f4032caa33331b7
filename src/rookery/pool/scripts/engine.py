"""The engine of a pool of script workers: the same queue, limits and accounts, but messages instead of packets."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery._base.framing import MAX_FRAME
from rookery.errors import PoolClosed, RookeryError, TaskNotSent, UsageError
from rookery.pool.processes import wire
from rookery.pool.processes.engine import Engine
from rookery.pool.processes.one_task import Task
from rookery.pool.scripts.codec import PreparedCodec
from rookery.pool.scripts.member import ScriptMember

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery.pool.calls import TaskOptions
    from rookery.pool.future import LoopFuture, PoolFuture
    from rookery.pool.processes.member import Member
    from rookery.pool.processes.settle import Answer
    from rookery.pool.scripts.words import Said, Words

_PLAIN_NAME = "message"


class ScriptEngine(Engine):
    """See Engine. Call speak() first."""

    words: Words
    _codec: PreparedCodec

    def speak(self, words: Words, codec: str) -> None:
        """In this protocol, written so."""
        self.words = words
        self._codec = PreparedCodec(codec)

    # -- taking tasks on --------------------------------------------------------------------------------------------

    def chunk(
        self, function: Callable[..., Any], items: Sequence[Any], *, are_single: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See Chunks."""
        del function, items, are_single
        raise UsageError("a script gets its items one by one", hint="leave chunksize out")

    def enqueue(
        self,
        function: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: TaskOptions,
        future: PoolFuture[Any] | LoopFuture[Any],
    ) -> None:
        """See Pooled. function: the task's name; in the plain protocol the data."""
        if self.closed:
            raise PoolClosed(self.closed)
        name, data = self._meant(function, args, kwargs)
        number = next(self._numbers)
        try:
            message = self._codec.prepare(self.words.task(number, name, data))
            if len(message) > MAX_FRAME:
                raise UsageError(f"a message of {len(message)} bytes is larger than the limit of {MAX_FRAME}")
        except Exception as error:
            why = (
                f"{error.what}: {error.why}" if isinstance(error, RookeryError) else f"{type(error).__name__}: {error}"
            )
            failed = TaskNotSent("the task cannot be given to a script", why=why)
            failed.__cause__ = error
            future.settle(None, failed)
            return
        task = Task(number, 0, b"", message, options, future, name)
        future.task = task
        with self.lock:
            try:
                self._add(task, future)
            except BaseException:
                self._undo(task)
                raise

    def _meant(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
        if kwargs or len(args) > 1:
            raise UsageError("a script gets one value", hint='submit("resize", {"width": 640})')
        if self.words.is_plain:
            if args and function is not None:
                raise UsageError("in the plain protocol tasks have no name", hint="submit(data)")
            return _PLAIN_NAME, args[0] if args else function
        if not isinstance(function, str):
            raise UsageError(f"a script's task is asked for by its name, not by {function!r:.60}")
        return function, args[0] if args else None

    def _send(self, member: Member, task: Task) -> bool:
        if not super()._send(member, task):
            return False
        if self.listeners.tasks:
            self.keep([(task, wire.BEGUN, b"", member.name, monotonic())])
            self.hooks.wants_settling()
        return True

    # -- answers ----------------------------------------------------------------------------------------------------

    def heard(self, member: ScriptMember, message: Any) -> None:
        """A worker has said this."""
        member.inbox.append(message)
        self.take(member)
        self.settle()

    def is_there(self, member: ScriptMember) -> None:
        """A worker is ready that does not say so."""
        with self.lock:
            self.keep([(member, wire.READY, b"", member.name, monotonic())])
        self.settle()

    def take(self, member: Member) -> bool:
        """See Engine."""
        assert isinstance(member, ScriptMember)
        answers: list[Answer] = []
        with self.lock:
            if not member.is_open or not member.inbox:
                return False
            while member.inbox:
                message = member.inbox.popleft()
                if not self._understand(member, self.words.understood(message, member.at_work()[0]), answers):
                    member.ignored += 1
            self.keep(answers)
            member.last_reply = monotonic()
            if self.is_worn(member):
                self.retire(member, f"{member.done} tasks done")
            if member.is_ready:
                self.fill(member)
        return True

    def _has_more(self, member: Member) -> bool:
        return isinstance(member, ScriptMember) and bool(member.inbox)

    def _understand(self, member: ScriptMember, said: Said, answers: list[Answer]) -> bool:
        """Whether it means anything; what it does is told by answers."""
        kind, number, value = said
        now = monotonic()
        if kind == "ready":
            if member.is_ready or member.has_said_ready:
                return False
            member.has_said_ready = True
            answers.append((member, wire.READY, b"", member.name, now))
        elif kind == "status":
            question = member.asked.get(number)
            if question is None or question.done():
                return False
            question.set_result(value)
        else:
            task = member.sent.get(number)
            if task is None or not kind:  # of none that it is at: too late, or twice
                return False
            if kind == "progress":
                if not task.settled:
                    answers.append((task, wire.NEWS, value, member.name, now))
            else:
                self._has_answered(member, task, value, answers, is_error=kind == "error")
        return True

    def _has_answered(
        self, member: ScriptMember, task: Task, value: Any, answers: list[Answer], *, is_error: bool
    ) -> None:
        began = member.at_work()[1]
        del member.sent[task.number]
        member.done += 1
        if not is_error:
            member.errors_in_row = 0
        if task.options.timeout is not None:
            self._unlimit(task)
        if not task.settled:
            kind = wire.ERROR if is_error else wire.VALUE
            self._answered(member, task, kind, value, began, monotonic(), answers)
