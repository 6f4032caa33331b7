"""What can go wrong with a request to the manager."""

from __future__ import annotations

from rookery.errors.base import RookeryError


class ControlError(RookeryError):
    """A request to the manager was not fulfilled."""


class NoManager(ControlError):
    """No manager runs and none was to be started."""

    exit_code = 4


class NothingMatched(ControlError):
    """No app matched the selector."""

    exit_code = 3


class OperationFailed(ControlError):
    """The manager tried and failed."""


class WaitExpired(ControlError):
    """The wait's limit passed; the work goes on in the manager."""

    exit_code = 5
