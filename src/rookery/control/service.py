"""What the web application is handed: the manager, seen from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rookery.control.messages import (
        ActionResult,
        ActRequest,
        AppSource,
        InstanceDetail,
        InstanceRow,
        Ping,
        StartRequest,
        UpgradeRequest,
    )

Verb = Literal["start", "stop", "restart", "delete"]


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
        """Start, stop, restart or delete known apps. Raises NothingMatched."""
        ...

    async def upgrade(self, request: UpgradeRequest) -> None:
        """Start the manager of another version; return when it has taken over.

        Raises OperationFailed where it could not start; then nothing has changed.
        """
        ...

    async def shut_down(self) -> ActionResult:
        """Stop every app (what was desired is kept), then the collector, the manager and the keeper."""
        ...
