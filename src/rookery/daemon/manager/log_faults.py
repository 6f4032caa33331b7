"""Logs that are not written at present, as the collector tells it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_NAMED = 3
_log = logging.getLogger(__name__)


class _Fault(NamedTuple):
    why: str
    blocks: bool
    astray: bool = False


class LogFaults:
    """What is wrong with which file."""

    def __init__(self) -> None:
        self._by_path: dict[str, _Fault] = {}

    @property
    def paths(self) -> list[str]:
        """The files that are not written."""
        return list(self._by_path)

    def begin_anew(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Believe a collector's ``stats`` of its files, and nothing from before."""
        self._by_path = {
            str(file["path"]): _Fault(str(file["problem"]), bool(file.get("blocks")), bool(file.get("astray")))
            for file in files
            if file["problem"]
        }

    def hear(self, event: Mapping[str, Any], writers: Sequence[str]) -> None:
        """The collector has said something. writers: whose file it is."""
        path, why = str(event.get("path", "")), str(event.get("why", ""))
        kind = event.get("event")
        if kind == "log_full":
            fault = self._by_path[path] = _Fault(why, bool(event.get("blocks")), bool(event.get("astray")))
            _log.warning("%s (%s)", _told(fault, writers or [path]), path)
        elif kind == "log_dropped":
            self._by_path.pop(path, None)
            if event.get("lines") or event.get("bytes"):
                told = (event.get("lines"), event.get("bytes"), why, path)
                _log.warning("%s lines (%s bytes) were dropped (%s): %s", *told)
            else:
                _log.warning("written again, nothing was lost: %s", path)

    def sentence(self, writers: Callable[[str], list[str]]) -> str:
        """What everybody should know, or "". writers: whose file a path is; nobody's are not worth a word."""
        affected: dict[_Fault, list[str]] = {}
        for path, fault in self._by_path.items():
            affected.setdefault(fault, []).extend(writers(path))
        return "; ".join(_told(fault, list(dict.fromkeys(names))) for fault, names in affected.items() if names)


def _told(fault: _Fault, names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = "it waits" if fault.blocks else "lines are dropped"
    if fault.astray:
        what = "lines go into the file that was there before"
    return f"the log of {', '.join(names[:_NAMED])}{more} is not written: {fault.why}; {what}"
