"""That a log file is not written at present: told once when it begins and once when it has ended."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[dict[str, object]], None]


class Trouble:
    """Of the file with that path. tell: is handed what the manager should know; why: the system's words, also later.

    is_astray: what is written goes to a file that has lost its name, because the path cannot be opened.
    """

    __slots__ = ("_is_told", "_path", "_tell", "is_astray", "why")

    def __init__(self, path: str, tell: Tell) -> None:
        self.why = ""
        self.is_astray = False
        self._is_told = False
        self._path = path
        self._tell = tell

    def begin(self, why: str, *, blocks: bool, astray: bool = False) -> None:
        """It cannot be written, or (astray) only under a name that is not its own."""
        self.why = why
        if self._is_told:
            return
        self._is_told, self.is_astray = True, astray
        if astray:
            meanwhile = "cannot be opened, lines go on into the file that was there before"
        else:
            meanwhile = f"cannot be written, {'its writers wait' if blocks else 'lines are dropped'}"
        self.say(f"{meanwhile}: {why}")
        event: dict[str, object] = {"event": "log_full", "path": self._path, "why": why, "blocks": blocks}
        self._tell({**event, "astray": True} if astray else event)

    def written(self) -> None:
        """Something was written."""
        if self._is_told and not self.is_astray:
            self.end()

    def end(self, lines: int = 0, size: int = 0) -> None:
        """It is over, and so much was lost; told if there was anything."""
        if self._is_told or lines or size:
            self._tell({"event": "log_dropped", "path": self._path, "lines": lines, "bytes": size, "why": self.why})
        self._is_told = self.is_astray = False

    def say(self, text: str) -> None:
        """Write down something about the file."""
        try:  # manager.log may be on the same full disk
            sys.stderr.write(f"rookery-collector: {self._path}: {text}\n")
        except (OSError, ValueError):
            return
