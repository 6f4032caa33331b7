"""All workers of a cluster by slot; what roll.py asks of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats
from rookery.cluster.events import ClusterEvent
from rookery.cluster.member import Member
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rookery.cluster.desk import Desk
    from rookery.cluster.events import Kind, Teller
    from rookery.cluster.launch import Recipe


class WorkerCrew:
    """members: who has which slot; rising, leaving: who is on the way in and out. One event loop.

    recipe: of which new members are made; a roll to another one sets it when it has succeeded.
    """

    def __init__(self, desk: Desk, recipe: Recipe, teller: Teller, on_message: Callable[[Member, Any], None]) -> None:
        self.recipe = recipe
        self.members: dict[int, Member] = {}
        self.rising: set[Member] = set()
        self.leaving: set[Member] = set()
        self.past = stats.Numbers()
        """What members that have gone have counted."""
        self.restarts: dict[int, int] = {}
        self._proven: set[int] = set()
        self._next: Recipe | None = None
        self._desk = desk
        self._teller = teller
        self._on_message = on_message
        self.changed = asyncio.Event()
        """Set whenever a worker has started, become ready or ended."""

    def __iter__(self) -> Iterator[Member]:
        """Everybody, also those on the way in or out."""
        return iter([*self.members.values(), *self.rising, *self.leaving])

    # -- all of them ------------------------------------------------------------------------------------------------

    async def add(self, slots: list[int]) -> None:
        """Fill these slots, all at once. Raises what the first failure raises; then none of them is filled."""
        made = {slot: self._make(slot, self.recipe) for slot in slots}
        self.members |= made
        works = [asyncio.ensure_future(member.up()) for member in made.values()]
        try:
            await asyncio.gather(*works)
        except BaseException:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            for slot, member in made.items():
                self.members.pop(slot, None)
                await self._end(member)
            raise

    async def remove(self, slots: list[int]) -> None:
        """Drain these slots, all at once, and forget them. Raises the first StopFailed after having tried all."""
        ends = [self._end(self.members.pop(slot)) for slot in slots if slot in self.members]
        for outcome in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def roll_to(self, recipe: Recipe | None) -> None:
        """From now on begin() makes members of this recipe; None: of the present one."""
        self._next = recipe

    # -- one of them, for a roll --------------------------------------------------------------------------------------

    async def begin(self, slot: int) -> Member | None:
        """See Crew."""
        old = self.members.get(slot)
        if old is None:
            return None
        if old.recipe.settings.own_ports:  # both would want its port
            await self._end(old)
        new = self._make(slot, self._next or self.recipe)
        self.rising.add(new)
        try:
            await new.up()
        except BaseException:
            self.rising.discard(new)
            await self._end(new)
            await self._restore(slot, old)
            raise
        return new

    async def settle(self, slot: int, new: Member) -> None:  # noqa: ARG002
        """See Crew. What one worker of a version has shown the others need not show again."""
        version = new.recipe.version
        if version not in self._proven:
            await new.prove(new.recipe.settings.settle)
            self._proven.add(version)

    async def commit(self, slot: int, new: Member) -> None:
        """See Crew."""
        old = self.members.get(slot)
        self.rising.discard(new)
        self.members[slot] = new
        if old is not None:
            await self._end(old)

    async def discard(self, slot: int, new: Member) -> None:
        """See Crew. It may have taken connections already: it drains."""
        self.rising.discard(new)
        await self._end(new)
        old = self.members.get(slot)
        if old is not None:
            await self._restore(slot, old)

    async def _restore(self, slot: int, old: Member) -> None:
        """Where the old one had to go first it comes back."""
        if old.recipe.settings.own_ports and old.retired:
            back = self._make(slot, old.recipe)
            self.members[slot] = back
            await back.unit.start()

    # -- making and ending ------------------------------------------------------------------------------------------

    def _make(self, slot: int, recipe: Recipe) -> Member:
        return Member(self._desk, recipe, slot, tell=self._told, on_message=self._on_message)

    async def _end(self, member: Member) -> None:
        if member in self.leaving or member.has_ended:  # a stop in the middle of a roll: whoever was first counts it
            await member.down()
            return
        self.leaving.add(member)
        try:
            await member.down()
        finally:
            self.leaving.discard(member)
            self.past = self.past.plus(member.numbers.at_rest())

    def _told(self, what: Kind, member: Member, reason: str) -> None:
        if what == "worker_exited" and not member.retired:
            self.restarts[member.slot] = self.restarts.get(member.slot, 0) + 1
        now = self._desk.clock.wall()
        self._teller.tell(ClusterEvent(what, now, reason, member.slot, member.id, member.pid, wanted=member.retired))
        self.changed.set()

    @property
    def numbers(self) -> stats.Numbers:
        """What all have counted, those that have gone too."""
        total = self.past
        for member in self:
            total = total.plus(member.numbers)
        return total

    @property
    def has_failed(self) -> str:
        """Why nobody serves, and nobody will: every slot has been given up."""
        members = list(self.members.values())
        if members and all(member.unit.state in (State.FATAL, State.EXITED) for member in members):
            return members[0].unit.reason
        return ""
