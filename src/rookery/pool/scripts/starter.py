"""Workers that run a script: children of fork(), each with a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.lifecycle.stop import StopPlan
from rookery.pool.scripts.codec import PreparedCodec
from rookery.pool.scripts.handle import ScriptHandle
from rookery.pool.scripts.member import ScriptMember
from rookery.worker import fork, words

if TYPE_CHECKING:
    from rookery.pool.processes.member import Member
    from rookery.pool.scripts.engine import ScriptEngine
    from rookery.pool.scripts.settings import ScriptSettings


class ScriptStarter:
    """See Starter. members: the last of each name, also when it has ended."""

    why_late = 'it has not sent {"type": "ready"}'

    def __init__(self, settings: ScriptSettings, engine: ScriptEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._is_node = settings.codec == "node"
        self.members: dict[str, ScriptMember] = {}
        if settings.protocol == "plain":
            self.why_late = "it has not opened its channel"

    def new_member(self, name: str) -> Member:
        """See Starter."""
        member = self.members[name] = ScriptMember(name, self._engine)
        return member

    async def start(self, member: Member) -> ScriptHandle:
        """See Starter. A Node script of the plain protocol has no word for it: it is ready at once."""
        assert isinstance(member, ScriptMember)
        settings, engine = self._settings, self._engine
        worker = await fork(
            settings.script,
            args=settings.script_args,
            interpreter=settings.interpreter,
            interpreter_args=settings.interpreter_args,
            codec=PreparedCodec(settings.codec),
            ready=False,
            ready_timeout=max(settings.start_timeout, 0.001),
            stdout=member.stdout.take,
            stderr=member.stderr.take,
            env=settings.env,
        )

        def is_ready(_: Any = None) -> None:
            engine.is_there(member)

        def lost(why: str) -> None:
            member.reason = member.reason or why

        if engine.words.is_plain and not self._is_node:
            worker.on(words.READY, is_ready)
        plan = StopPlan(graceful_timeout=settings.graceful_timeout)
        handle = ScriptHandle(worker, plan, lambda message: engine.heard(member, message), lost)
        member.belongs_to(handle)
        if engine.words.is_plain and self._is_node:
            member.loop.call_soon(is_ready)
        return handle

    async def stop(self, handle: ScriptHandle, plan: StopPlan) -> None:
        """See Starter."""
        await handle.stop(plan)

    async def tidy(self, handle: ScriptHandle) -> None:
        """See Starter: fork() has seen to it."""

    async def close(self) -> None:
        """See Starter."""
