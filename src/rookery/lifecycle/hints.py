"""What a person may want to be told about the way an app ends. Pure; the command line's fast path reads it too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.lifecycle.exit import ExitStatus

ENOUGH = 3
"""Quick clean exits in a row that look like a job that is meant to end."""
JOB = "if it is meant to end: --restart on-failure"


class Streak:
    """Exits in a row that were alike: by themselves, soon after the start, with the same code or signal."""

    __slots__ = ("code", "count", "signal")

    def __init__(self, code: int | None = None, signal: int | None = None, count: int = 0) -> None:
        self.code = code
        self.signal = signal
        self.count = count

    def after(self, status: ExitStatus, *, lifetime: float | None, stable_after: float) -> Streak:
        """The streak with one more exit. lifetime: seconds it ran, None for unknown; both times in seconds."""
        is_quick = lifetime is not None and lifetime < stable_after
        is_same = is_quick and self.count > 0 and (self.code, self.signal) == (status.code, status.signal)
        return Streak(status.code, status.signal, self.count + 1 if is_same else int(is_quick))


def ends_well_again(name: str, code: int | None, repeats: int) -> str:
    """The hint for an app that is always started again although it ends well each time; "" for any other."""
    if code != 0 or repeats < ENOUGH:
        return ""
    times = "three times" if repeats == ENOUGH else f"{repeats} times"
    return f"{name} has ended with 0 {times}; {JOB}"


def failed_start(name: str, code: int | None, *, is_retried: bool) -> str:
    """The hint for a start that did not settle; code: of its exit. "" where there is nothing to say."""
    if not is_retried:
        return ""
    if code == 0:
        return f"{name} ended with 0 and is started again and again; {JOB}"
    return f"{name} is started again and again; to end that: rook stop {name}"
