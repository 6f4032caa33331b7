"""A meeting place of channels: tasks go from one member to another and results back, messages to all.

A --request(task(...))--> hub --request--> B        A's giving up reaches B; B's error and progress reach A
A <-------- answer ------ hub <-- answer -- B        B's death is A's error, never its silence
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._base.clock import SystemClock
from rookery.errors import ChannelTimeout, Disconnected, LinkError, RookeryError, UsageError
from rookery.ipc import hub_words
from rookery.ipc.hub_choice import LEAST_BUSY, check_way
from rookery.ipc.hub_desk import Desk, Wanted
from rookery.ipc.hub_member import HEALTH, Health, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from rookery._base.clock import Clock
    from rookery.ipc.channel import Channel
    from rookery.ipc.served import Call


_LONGEST = 1e6


class Hub:
    """Knows channels and their names, no processes. ``async with`` or close() ends it. Belongs to one event loop.

    assign: "least-busy" or "round-robin". task_timeout: seconds for a task from its arrival. most_tasks: underway with
    one member; further ones wait, most_waiting at most. health: how members are looked after, None for not at all.
    on_change(what, member): "joined", "left", "unhealthy", "healthy".
    """

    def __init__(
        self,
        *,
        assign: str = LEAST_BUSY,
        task_timeout: float = 30.0,
        most_tasks: int = 100,
        most_waiting: int = 1000,
        health: Health | None = HEALTH,
        on_change: Callable[[str, Member], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._assign = check_way(assign)
        self._task_timeout = task_timeout
        self._most_tasks = most_tasks
        self._health = health
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._members: dict[str, Member] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._desk = Desk(self._members, most_tasks=most_tasks, most_waiting=most_waiting)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def members(self) -> Mapping[str, Member]:
        """By name, in the order of their joining."""
        return dict(self._members)

    def join(self, name: str, channel: Channel) -> Member:
        """Take a channel in; it leaves by itself when it ends. The hub answers its hub.* requests from now on.

        Raises UsageError where the name is taken, Disconnected where the channel has ended.
        """
        if not name or name in self._members:
            raise UsageError(f"the hub has a member {name!r} already" if name else "a member of a hub has a name")
        if not channel.connected:
            raise Disconnected(f"{name} cannot join: its channel has ended")
        member = Member(name, channel)
        self._members[name] = member
        channel.on(hub_words.TASK, lambda message, call: self._task(member, message, call), with_call=True)
        channel.on(hub_words.BROADCAST, lambda message: self._spread(member, message))
        channel.on(hub_words.MEMBERS, lambda _: [one.facts() for one in self._members.values()])
        channel.on_disconnect(lambda _: self._left(member))
        if self._health is not None:
            watch = self._look_after(member, self._health)
            self._watches[name] = asyncio.get_running_loop().create_task(watch)
        self._say("joined", member)
        self._desk.deal()
        return member

    def leave(self, name: str) -> None:
        """Let a member go; its channel stays open, and tasks underway with it are finished. Nothing where it is not."""
        member = self._members.get(name)
        if member is not None:
            self._left(member)

    async def broadcast(
        self,
        message: Any,
        *,
        without: str = "",
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> dict[str, RookeryError | None]:
        """Send to all members at once; for each the reason why it did not get it, or None.

        without: a name to leave out; timeout: seconds that one which does not read may take: it holds up no other.
        """
        members = [member for member in self._members.values() if member.name != without]
        results = await asyncio.gather(*(_sent(member, message, timeout) for member in members))
        return {member.name: result for member, result in zip(members, results, strict=True)}

    async def request(
        self,
        message: Any,
        *,
        to: str = "",
        assign: str = "",
        without: str = "",
        timeout: float | None = None,  # noqa: ASYNC109
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Have a member handle a message, and give its answer. to: its name, or "" for the hub's choice.

        without: who is not to be chosen. A task is given out once: where the member goes away, what it had done is not
        known. Raises RemoteError, ChannelTimeout, Disconnected, UsageError (nobody of that name, too many wait).
        """
        limit = self._task_timeout if timeout is None else timeout
        way = check_way(assign or self._assign)
        deadline = self._clock.monotonic() + limit
        member = await self._desk.taken(Wanted(to, way, without), limit)
        try:
            left = max(0.0, deadline - self._clock.monotonic())
            answer = await member.channel.request(message, timeout=left, on_progress=on_progress)
        except ChannelTimeout as error:
            raise ChannelTimeout(f"{member.name} did not answer", limit, hint=error.hint) from None
        except LinkError as error:
            raise Disconnected(f"{member.name} went away with a task underway", why=str(error)) from error
        else:
            member.done += 1
            return answer
        finally:
            self._desk.give_back(member)

    async def close(self) -> None:
        """Let all members go and look after nobody; their channels stay open."""
        watches = list(self._watches.values())
        for member in list(self._members.values()):
            self._left(member)
        for watch in watches:
            with suppress(asyncio.CancelledError):
                await watch

    # What members ask

    async def _task(self, asker: Member, message: dict[str, Any], call: Call) -> Any:
        to, assign, timeout = message.get("to") or "", message.get("assign") or "", message.get("timeout")
        progress = _Progress(call, most=self._most_tasks)
        try:
            return await self.request(
                message.get("message"),
                to=str(to),
                assign=str(assign),
                without=asker.name,
                timeout=timeout if isinstance(timeout, int | float) and 0 < timeout < _LONGEST else None,
                on_progress=progress.tell,
            )
        finally:
            await progress.close()

    async def _spread(self, asker: Member, message: dict[str, Any]) -> list[str]:
        results = await self.broadcast(message.get("message"), without=asker.name)
        return [name for name, failed in results.items() if failed is None]

    # Members

    def _left(self, member: Member) -> None:
        if self._members.get(member.name) is not member:
            return
        del self._members[member.name]
        for word in (hub_words.TASK, hub_words.BROADCAST, hub_words.MEMBERS):
            member.channel.off(word)
        watch = self._watches.pop(member.name, None)
        if watch is not None:
            watch.cancel()
        self._say("left", member)
        self._desk.deal()  # those who waited for it must hear that it is gone

    async def _look_after(self, member: Member, health: Health) -> None:
        while True:
            await self._clock.sleep(health.period)
            try:
                member.latency = await member.channel.ping(timeout=health.timeout)
            except ChannelTimeout:
                member.missed += 1
            except LinkError:
                return  # on_disconnect tells
            else:
                member.missed = 0
                member.answered_at = self._clock.monotonic()
            is_healthy = member.missed < health.failure_threshold
            if is_healthy != member.healthy:
                member.healthy = is_healthy
                self._say("healthy" if is_healthy else "unhealthy", member)
                self._desk.deal()

    def _say(self, what: str, member: Member) -> None:
        if self._on_change is not None:
            self._on_change(what, member)


class _Progress:
    """Passes progress on, in order; an asker who does not read loses what is more than most."""

    def __init__(self, call: Call, *, most: int) -> None:
        self._call = call
        self._most = most
        self._values: deque[Any] = deque()
        self._telling: asyncio.Task[None] | None = None

    def tell(self, value: Any) -> None:
        if len(self._values) < self._most:
            self._values.append(value)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    async def _tell_all(self) -> None:
        with suppress(LinkError):
            while self._values:
                await self._call.progress(self._values.popleft())

    async def close(self) -> None:
        """What came before the answer is told before it."""
        if self._telling is not None:
            await self._telling


async def _sent(member: Member, message: Any, timeout: float) -> RookeryError | None:  # noqa: ASYNC109
    try:
        async with asyncio.timeout(timeout):
            await member.channel.send(message)
    except RookeryError as error:
        return error
    except TimeoutError:
        return ChannelTimeout(f"{member.name} did not take a message", timeout)
    return None
