"""Answers of 500 and above, and those that never came, counted without being in the way of the others.

uvicorn takes the first line of an answer from a table. Ours has the failures nowhere in it: who asks for one calls
__missing__, and all other answers cost what they did before. An app that fails in the middle of an answer is what
uvicorn says in its log.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TABLES = {
    "uvicorn.protocols.http.httptools_impl": "STATUS_LINE",
    "uvicorn.protocols.http.h11_impl": "STATUS_PHRASES",
}
_FAILS = 500
_RAISED = "Exception in ASGI application"
_CUT = "ASGI callable returned without completing"


class _Table(dict[int, bytes]):
    """The first lines of answers; those of failures are kept elsewhere. told: called for each."""

    def __init__(self, lines: dict[int, bytes], told: Callable[[], None]) -> None:
        super().__init__({status: line for status, line in lines.items() if status < _FAILS})
        self._failures = {status: line for status, line in lines.items() if status >= _FAILS}
        self._told = told

    def __missing__(self, status: int) -> bytes:
        line = self._failures[status]
        self._told()
        return line


class _Log(logging.Filter):
    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be written."""
        text = str(record.msg)
        if text.startswith(_CUT):
            self._told()
        elif text.startswith(_RAISED) and record.exc_info and record.exc_info[2] is not None:
            cycle = record.exc_info[2].tb_frame.f_locals.get("self")
            if isinstance(record.exc_info[1], asyncio.CancelledError) and getattr(cycle, "response_complete", False):
                return False  # a stream that was ended, and then its task: see streams.py
            if getattr(cycle, "response_started", False):  # else it is answered with 500, and counted as such
                self._told()
        return True


def count(protocol: type[Any], told: Callable[[], None]) -> bool:
    """Call told() for each failure of this HTTP protocol; False where that protocol keeps its lines otherwise."""
    name = _TABLES.get(protocol.__module__)
    module = importlib.import_module(protocol.__module__)
    lines = getattr(module, name, None) if name is not None else None
    if name is None or not isinstance(lines, dict) or isinstance(lines, _Table):
        return False
    if not logging.getLogger("uvicorn.error").isEnabledFor(logging.ERROR):  # it would not say what fails
        return False
    setattr(module, name, _Table(lines, told))
    logging.getLogger("uvicorn.error").addFilter(_Log(told))
    return True
