"""Ctrl-C at a place where half of something would be done: it is told when the whole is done."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_MAIN = threading.main_thread


class NoInterrupts:
    """``with NoInterrupts():`` KeyboardInterrupt comes at its end, if Ctrl-C was pressed; pressed again, at once.

    Of use in the main thread alone, and where SIGINT has Python's own handler; elsewhere it does nothing.
    """

    __slots__ = ("_count", "_is_on")

    def __enter__(self) -> None:
        self._count = 0
        self._is_on = (
            threading.get_ident() == _MAIN().ident and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._is_on:
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            signal.default_int_handler(number, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_on:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self._count:
                raise KeyboardInterrupt
