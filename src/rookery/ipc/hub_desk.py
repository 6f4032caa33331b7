"""Where tasks wait for a member that is free."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from rookery.errors import ChannelTimeout, UsageError
from rookery.ipc.hub_choice import choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.ipc.hub_member import Member


class Wanted(NamedTuple):
    """to: a name, or "" for anybody; way: of choosing; without: who is not to be chosen."""

    to: str
    way: str
    without: str


class Desk:
    """Hands out members, each for most_tasks tasks at once. Whoever waits longest is served first, if he can be."""

    def __init__(self, members: Mapping[str, Member], *, most_tasks: int, most_waiting: int) -> None:
        self._members = members
        self._most_tasks = most_tasks
        self._most_waiting = most_waiting
        self._waiting: dict[asyncio.Future[Member], Wanted] = {}
        self._turn = 0

    async def taken(self, wanted: Wanted, limit: float) -> Member:
        """A member, which is to be given back. Raises ChannelTimeout after limit seconds, UsageError."""
        found = self._choose(wanted)
        if found is not None:
            return self._take(found)
        if len(self._waiting) >= self._most_waiting:
            raise UsageError(f"{self._most_waiting} tasks wait at the hub already", hint="ask for less at once")
        future: asyncio.Future[Member] = asyncio.get_running_loop().create_future()
        self._waiting[future] = wanted
        try:
            async with asyncio.timeout(limit):
                return await future
        except TimeoutError:
            self._withdraw(future)
            raise ChannelTimeout(f"{wanted.to or 'no member'} was not free for a task", limit) from None
        except asyncio.CancelledError:
            self._withdraw(future)
            raise
        finally:
            self._waiting.pop(future, None)

    def give_back(self, member: Member) -> None:
        """Its task is done."""
        member.running -= 1
        self.deal()

    def deal(self) -> None:
        """Something has changed: give members to those who wait and can have one now."""
        for future, wanted in list(self._waiting.items()):
            if future.done():
                continue
            try:
                found = self._choose(wanted)
            except UsageError as error:
                future.set_exception(error)
            else:
                if found is not None:
                    future.set_result(self._take(found))

    def _choose(self, wanted: Wanted) -> Member | None:
        there = {name: member for name, member in self._members.items() if member.channel.connected}
        if wanted.to:
            if wanted.to not in there:
                known = ", ".join(there) or "nobody"
                raise UsageError(f"the hub has no member {wanted.to!r}", hint=f"it has: {known}")
            candidates = [there[wanted.to]]
        else:
            others = [member for member in there.values() if member.name != wanted.without]
            if not others:
                raise UsageError("the hub has nobody else who could take the task")
            candidates = [member for member in others if member.healthy] or others
        return choose(candidates, wanted.way, most=self._most_tasks)

    def _take(self, member: Member) -> Member:
        self._turn += 1
        member.last = self._turn
        member.running += 1
        return member

    def _withdraw(self, future: asyncio.Future[Member]) -> None:
        """Given up; where a member came in the same moment, it goes back."""
        if future.done() and not future.cancelled() and future.exception() is None:
            self.give_back(future.result())
