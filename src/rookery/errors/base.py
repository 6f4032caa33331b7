"""The base of all errors, and those of a call or a configuration that is wrong."""

from __future__ import annotations


class RookeryError(Exception):
    """Base of all errors of rookery.

    what: one sentence that says what happened; why: the cause, or ""; hint: what to try, or "".
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class UsageError(RookeryError):
    """The call or the command line is wrong; nothing was done."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration is wrong; nothing was started.

    file: its path or "" (an option); key: dotted path such as ``apps.web.cwd`` or ""; line: from 1, or None.
    """

    def __init__(self, problem: str, *, file: str = "", key: str = "", line: int | None = None, hint: str = "") -> None:
        self.problem = problem
        self.file = file
        self.key = key
        self.line = line
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, problem) if part), hint=hint)


class ImpossibleTransition(RookeryError):
    """A state table was asked for a step that it does not have; a defect of the caller."""

    def __init__(self, state: str, event: str) -> None:
        self.state = state
        self.event = event
        super().__init__(f"no transition from {state} on {event}")
