"""Copy: a unit of an instance with what is around it; during a reload an instance has two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery.apps.state import SavedCopy
from rookery.apps.translate import restart_policy, stop_plan
from rookery.cluster import stats
from rookery.cluster.care import Care
from rookery.cluster.status import latency_of
from rookery.control.messages import BesideRow, Latency
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from rookery._base.clock import Clock
    from rookery.apps.app import Instance
    from rookery.apps.edition import Edition
    from rookery.apps.outfit import Outfit
    from rookery.control.messages import InstanceRow
    from rookery.metrics.sampler import Usage
    from rookery.supervise.record import UnitEvent
    from rookery.supervise.unit import Unit


class Copy:
    """slot: the instance's index; edition: what it is started as; retired: it is to go.

    One event loop. unit, plumbing and care are set by whoever makes it, before anything else happens.
    """

    unit: Unit
    plumbing: Outfit
    care: Care

    def __init__(self, instance: Instance, edition: Edition, clock: Clock) -> None:
        self.instance = instance
        self.edition = edition
        self.slot = instance.index
        self.retired = False
        self.worker = 0
        """The id of its present process among the app's workers."""
        self.usage: Usage | None = None
        self.rate: Callable[[], float] = lambda: 0.0
        self._clock = clock

    def set_up(self, unit: Unit, plumbing: Outfit, on_ready: Callable[[Copy], None]) -> None:
        """Take these; on_ready: called when a worker can serve."""
        self.unit = unit
        self.plumbing = plumbing

        def port() -> int | None:
            listeners = self.edition.listeners
            return None if listeners is None else listeners.port_of(self.slot)

        def ready() -> None:
            if not self.has_said_ready:
                if self.plumbing.page is not None:  # the next manager reads it there, whatever the state file says
                    self.plumbing.page.words[stats.READY] = 1
                on_ready(self)
            if self.edition.passing is not None:
                self.edition.passing.ready(self.worker)

        self.care = Care(unit, lambda: self.edition.settings, self._clock, port=port, on_ready=ready)

    def describe(self, edition: Edition) -> None:
        """Be of this edition from now on; what runs keeps its process until it is replaced."""
        self.edition = edition
        self.unit.policy = restart_policy(edition.spec)
        self.unit.stop_plan = stop_plan(edition.spec)

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """Of its present process."""
        return self.unit.generation

    @property
    def awaits_ready(self) -> bool:
        """Whether it is up when it, or a look at it, says so, and not by its age."""
        if self.edition.is_clustered:
            return bool(self.edition.settings.handshake)
        return self.edition.spec.readiness.notify

    @property
    def now(self) -> stats.Numbers | None:
        """What the present process has counted."""
        return None if self.plumbing.page is None else self.plumbing.page.read()

    @property
    def has_said_ready(self) -> bool:
        """Whether an earlier manager has seen it ready."""
        page = self.plumbing.page
        return page is not None and bool(page.words[stats.READY])

    @property
    def is_draining(self) -> bool:
        """Whether it has been told to leave, by whomever."""
        numbers = self.now
        return numbers is not None and bool(numbers.flags & stats.IS_DRAINING)

    def fill(self, row: InstanceRow) -> None:
        """Put its numbers into the list's row."""
        edition = self.edition
        if not edition.is_clustered:
            return
        listeners = edition.listeners
        row.bind = ",".join(edition.spec.bind if listeners is None else listeners.addresses_of(self.slot))
        numbers = self.now
        if numbers is None or self.unit.pid is None or edition.spec.kind == "command":
            return
        if numbers.heartbeat:
            row.heartbeat = round(max(0.0, self._clock.monotonic() - numbers.heartbeat), 3)
        if edition.spec.kind == "socket":  # what it does with its connections it knows alone
            return
        row.requests, row.errors = numbers.requests, numbers.errors
        row.in_flight, row.connections = numbers.in_flight, numbers.connections
        row.requests_per_second = round(self.rate(), 1)
        found = latency_of(numbers)
        row.latency = Latency(**found) if found else None

    def saved(self, now: float) -> SavedCopy:
        """As the state file keeps it."""
        unit = self.unit
        return SavedCopy(
            generation=unit.generation,
            pid=unit.pid,
            start_time=unit.start_time,
            started_at=None if unit.uptime is None else now - unit.uptime,
            ready=unit.is_ready,
        )

    def beside(self, role: Literal["rising", "draining"]) -> BesideRow:
        """As a line below its instance."""
        uptime = self.unit.uptime
        return BesideRow(pid=self.unit.pid, role=role, uptime=None if uptime is None else round(uptime, 3))

    # -- what happens to it -----------------------------------------------------------------------------------------

    def changed(self, event: UnitEvent) -> None:
        """Its unit has made a transition."""
        if not self.edition.is_clustered:
            return
        if event.after is State.RUNNING:
            self.care.began()
        elif event.after is State.STOPPING and self.edition.passing is not None:
            self.edition.passing.drain(self.worker)
        elif event.before in (State.RUNNING, State.STOPPING) and event.after is not State.STOPPING:
            self.care.ended()

    def gone(self) -> None:
        """Its process has ended; what it was passed and has not taken goes to others."""
        if self.edition.passing is not None:
            self.edition.passing.gone(self.worker)
        self.instance.app.left(self)

    def hear(self, words: Mapping[str, str]) -> bool:
        """It has said something on its notify socket (sd_notify's words); whether that made it ready."""
        if self.edition.is_clustered:
            self.care.hear(words)
            return False  # care tells
        if words.get("READY") != "1" or self.unit.is_ready:
            return False
        self.unit.mark_ready()
        return self.unit.is_ready

    async def close(self) -> None:
        """Look after it no more, without touching its process."""
        self.care.ended()
        await self.unit.close()
