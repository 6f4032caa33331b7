"""How a command went."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Text = TypeVar("Text", str, bytes)
Order = tuple[tuple[int, int], ...]
_TAIL_LINES = 10
_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Result(Generic[Text]):
    """How a command went, failed or not.

    command: program and arguments; escaped_command: the same to be pasted into a shell; returncode: negative for a
    signal, None where nobody saw the end; signal: its name or None; duration: seconds; timed_out: stopped for its
    time ("timeout") or silence ("idle_timeout"), else None; truncated: max_output cut the output; cancelled: we
    stopped it; is_forced: SIGKILL was needed.
    """

    command: tuple[str, ...]
    pid: int
    returncode: int | None
    signal: str | None
    duration: float
    stdout: Text
    stderr: Text
    timed_out: Literal["timeout", "idle_timeout"] | None = None
    truncated: bool = False
    cancelled: bool = False
    is_forced: bool = False
    cwd: str | None = None
    ok_exit_codes: frozenset[int] = frozenset({0})
    limit: float | None = None
    """The seconds or bytes that it went over."""
    shown: str | None = None
    """What escaped_command shows where it is not the command itself: a script with its values."""
    order: Order = field(default=(), repr=False)
    """Which stream (1 or 2) wrote how much, in the order in which it came; () where only one wrote."""

    @property
    def escaped_command(self) -> str:
        """The command as a shell would take it."""
        return self.shown if self.shown is not None else shlex.join(self.command)

    @property
    def ok(self) -> bool:
        """Whether it went as wanted: it was not stopped for a limit, and its exit code is one of the good ones."""
        if self.timed_out is not None or (self.truncated and self.limit is not None):
            return False
        return self.returncode in self.ok_exit_codes

    @property
    def all(self) -> Text:
        """Stdout and stderr together, in the order in which they came.

        Across two pipes that order is nearly exact; ``stderr=STDOUT`` makes it exact.
        """
        if not self.order:
            return self.stdout or self.stderr
        at = [0, 0]
        pieces: list[Text] = []
        for stream, length in self.order:
            source = self.stdout if stream == 1 else self.stderr
            pieces.append(source[at[stream - 1] : at[stream - 1] + length])
            at[stream - 1] += length
        return self.stdout[:0].join(pieces)

    def explain(self) -> str:
        """In words why it failed, with the last lines of its stderr."""
        how = f"killed by {self.signal}" if self.signal else f"exited with code {self.returncode}"
        if self.returncode is None:
            how = "ended, nobody saw how"
        if self.timed_out == "timeout":
            how = f"stopped after its time limit of {self.limit:g} s ({how})"
        elif self.timed_out == "idle_timeout":
            how = f"stopped after {self.limit:g} s without output ({how})"
        elif self.truncated and self.limit is not None:
            how = f"stopped after more than {self.limit:,.0f} bytes of output ({how})"
        stderr: Any = self.stderr
        said: str = stderr if isinstance(stderr, str) else stderr.decode("utf-8", "replace")
        tail: list[str] = said[-_TAIL_BYTES:].rstrip().splitlines()[-_TAIL_LINES:]
        return "\n  ".join([how, *tail])
