"""What the web application is handed: the manager, seen from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rookery.control.messages import (
        ActionResult,
        ActRequest,
        AppSource,
        Event,
        EventQuery,
        Flushed,
        InstanceDetail,
        InstanceEnv,
        InstanceRow,
        Ping,
        ScaleRequest,
        Signalled,
        SignalRequest,
        StartRequest,
        Until,
        UpgradeRequest,
    )

Verb = Literal["start", "stop", "restart", "reload", "delete"]


class EventFeed(Protocol):
    """One reader's place among the events. Nothing is kept for it: who does not read for long finds a gap."""

    async def more(self) -> list[Event]:
        """The next ones, at least one; waits for it. May be cancelled at any time, nothing gets lost."""
        ...


class Service(Protocol):
    """One method per route. Errors are ControlError and UsageError; everything else is a defect (500)."""

    def ping(self) -> Ping:
        """The manager's own facts."""
        ...

    def warning(self) -> str:
        """What everybody should know who asks anything (the state cannot be saved), or ""."""
        ...

    def send(self, selectors: list[str], data: bytes) -> list[InstanceRow]:
        """Write to the stdin of the matching instances, to each all of it or nothing; return whom.

        Raises NothingMatched, UsageError (its stdin is no pipe, too long), OperationFailed (it does not read).
        """
        ...

    def rows(self, selectors: list[str]) -> list[InstanceRow]:
        """The matching instances by id; all of them for no selector. Raises NothingMatched."""
        ...

    def details(self, selectors: list[str]) -> list[InstanceDetail]:
        """Everything about the matching instances. Raises NothingMatched."""
        ...

    def sources(self, selectors: list[str]) -> list[AppSource]:
        """Where the logs of the matching instances are. Raises NothingMatched."""
        ...

    async def apply(self, request: StartRequest) -> ActionResult:
        """Make apps run as described. Raises ConfigError for a spec that cannot be."""
        ...

    async def act(self, verb: Verb, request: ActRequest) -> ActionResult:
        """Start, stop, restart, reload or delete known apps. Raises NothingMatched."""
        ...

    async def scale(self, request: ScaleRequest) -> ActionResult:
        """Give an app more or fewer instances. Raises NothingMatched, UsageError."""
        ...

    async def wait(self, selectors: list[str], until: Until, timeout: float) -> ActionResult:  # noqa: ASYNC109
        """Wait until all of them are so; not ok: one that became fatal or was deleted. Raises NothingMatched."""
        ...

    def reset(self, selectors: list[str]) -> list[InstanceRow]:
        """Set the counters of restarts to zero. Raises NothingMatched."""
        ...

    def signal(self, request: SignalRequest) -> list[Signalled]:
        """Signal the matching instances, all or none. Raises NothingMatched, UsageError, OperationFailed (is down)."""
        ...

    def environments(self, selectors: list[str], *, reveal: bool) -> list[InstanceEnv]:
        """The environments of the matching instances; reveal: with secrets. Raises NothingMatched."""
        ...

    async def flush(self, selectors: list[str]) -> Flushed:
        """Empty the logs of the matching instances, of all for no selector. Raises NothingMatched, LinkError."""
        ...

    def events(self, query: EventQuery) -> list[Event]:
        """The events that are kept and match, oldest first. Raises NothingMatched, UsageError."""
        ...

    def follow(self, query: EventQuery) -> EventFeed:
        """From here on, or from query.after. Raises NothingMatched for a selector that never meant anything known."""
        ...

    async def upgrade(self, request: UpgradeRequest) -> None:
        """Start the manager of another version; return when it has taken over.

        Raises OperationFailed where it could not start; then nothing has changed.
        """
        ...

    async def shut_down(self) -> ActionResult:
        """Stop every app (what was desired is kept), then the collector, the manager and the keeper."""
        ...
