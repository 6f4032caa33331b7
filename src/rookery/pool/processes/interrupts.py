"""Ctrl-C at a place where half of something would be done: it is told when the whole is done."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # that of the package costs ten times as much
import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_MAIN = threading.main_thread
_SIGINT = _signal.SIGINT
_PATIENCE = 1.0


class NoInterrupts:
    """``with NoInterrupts():`` KeyboardInterrupt comes at its end, if Ctrl-C was pressed.

    Should that not come for a second, pressing it again interrupts all the same.

    Of use in the main thread alone, and where SIGINT has Python's own handler; elsewhere it does nothing.
    """

    __slots__ = ("_is_on", "_since")

    def __enter__(self) -> None:
        self._since = 0.0
        self._is_on = (
            _signal.getsignal(_SIGINT) is _signal.default_int_handler and threading.get_ident() == _MAIN().ident
        )
        if self._is_on:
            _signal.signal(_SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._since:
            self._since = monotonic()
        elif monotonic() - self._since > _PATIENCE:
            _signal.default_int_handler(number, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_on:
            _signal.signal(_SIGINT, _signal.default_int_handler)
            if self._since:
                raise KeyboardInterrupt
