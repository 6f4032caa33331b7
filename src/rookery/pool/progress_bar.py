"""How far a map has come, on stderr: a bar on a terminal, now and then a line elsewhere. Stdout is left alone."""

from __future__ import annotations

import importlib
import os
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from rookery._base.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TextIO

_BAR_EVERY = 0.1
_LINE_EVERY = 5.0


class _Drawing(Protocol):
    """What shows the numbers; every call may raise OSError or ValueError when the stream is gone."""

    every: float

    def draw(self, done: int, failed: int, total: int | None, seconds: float) -> None: ...

    def end(self) -> None: ...


class ProgressBar:
    """``with ProgressBar("resize", total=9) as bar: bar.update(done, failed)``; no thread, any thread may call.

    label: what stands before the numbers; total: of the tasks, None while unknown; stream: stderr; every: seconds
    between two drawings, 0.1 on a terminal and 5 elsewhere. A stream that fails is not drawn on again, and nothing is
    raised. The last state is drawn at the end, also when an exception ends it.
    """

    def __init__(
        self,
        label: str = "",
        *,
        total: int | None = None,
        stream: TextIO | None = None,
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._label = label or "tasks"
        self._stream = stream if stream is not None else sys.stderr
        self._every = every
        self._clock = clock
        self._lock = Lock()
        self._drawing: _Drawing | None = None
        self._done = 0
        self._failed = 0
        self._began = self._drawn_at = 0.0

    def __enter__(self) -> Self:
        with self._lock:
            self._began = self._drawn_at = self._clock()
            self._drawing = _drawing_on(self._stream, self._label)
            if isinstance(self._drawing, _Bar):
                self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, done: int, failed: int = 0, *, total: int | None = None) -> None:
        """So many ended well since the beginning, and so many with an error; total: when it becomes known."""
        with self._lock:
            self._done, self._failed = done + failed, failed
            if total is not None:
                self._total = total
            if self._drawing is None:
                return
            now = self._clock()
            if now - self._drawn_at >= (self._drawing.every if self._every is None else self._every):
                self._drawn_at = now
                self._draw()

    def close(self) -> None:
        """Draw the last state, and no more."""
        with self._lock:
            self._draw()
            drawing, self._drawing = self._drawing, None
            if drawing is not None:
                with suppress(OSError, ValueError):
                    drawing.end()

    def _draw(self) -> None:
        if self._drawing is None:
            return
        try:
            self._drawing.draw(self._done, self._failed, self._total, self._clock() - self._began)
        except (OSError, ValueError):
            self._drawing = None


def _drawing_on(stream: TextIO | None, label: str) -> _Drawing | None:
    if stream is None:  # a program without stderr
        return None
    try:
        if stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}:
            with suppress(ImportError):
                return _Bar(stream, label)
    except (OSError, ValueError):  # it is gone, or closed
        return None
    return _Lines(stream, label)


class _Lines:
    """A line now and then, for logs."""

    every = _LINE_EVERY

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._said = ""

    def draw(self, done: int, failed: int, total: int | None, seconds: float) -> None:
        """See _Drawing."""
        told = numbers(done, failed, total)
        if told == self._said:  # the last line was said already
            return
        self._said = told
        self._stream.write(f"{self._label}: {told}, {pace(done, total, seconds)}\n")
        self._stream.flush()

    def end(self) -> None:
        """See _Drawing."""


class _Bar:
    """A bar of rich. Raises ImportError where it is missing."""

    every = _BAR_EVERY

    def __init__(self, stream: TextIO, label: str) -> None:
        # Imported by name: rich costs 50 ms, and most pools draw nothing.
        console = importlib.import_module("rich.console").Console(file=stream, force_terminal=True, force_jupyter=False)
        bar = importlib.import_module("rich.progress")
        self._bar = bar.Progress(
            bar.TextColumn("{task.description}", markup=False),
            bar.BarColumn(),
            bar.TextColumn("{task.fields[told]}", markup=False),
            console=console,
            auto_refresh=False,  # no thread
            redirect_stdout=False,  # what a program prints goes where it always goes
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(label, total=None, told="")
        self._bar.start()

    def draw(self, done: int, failed: int, total: int | None, seconds: float) -> None:
        """See _Drawing."""
        told = f"{numbers(done, failed, total)}, {pace(done, total, seconds)}"
        self._bar.update(self._task, completed=done, total=total, told=told)
        self._bar.refresh()

    def end(self) -> None:
        """See _Drawing."""
        self._bar.stop()


def numbers(done: int, failed: int, total: int | None) -> str:
    """``120/1000 (12%), 3 failed``."""
    told = str(done) if total is None else f"{done}/{total}"
    if total:
        told += f" ({100 * done // total}%)"
    return f"{told}, {failed} failed" if failed else told


def pace(done: int, total: int | None, seconds: float) -> str:
    """``40/s, 22s left``; at the end, and while nothing is known of it, how long it has taken: ``3m20s``."""
    taken = format_duration(seconds)
    if not done or seconds <= 0:
        return taken
    rate = done / seconds
    per_second = f"{rate:.0f}/s" if rate >= 9.95 else f"{rate:.1f}/s" if rate >= 0.095 else f"{rate * 60:.1f}/min"
    if total is None or done >= total:
        return f"{per_second}, {taken}"
    return f"{per_second}, {format_duration((total - done) / rate)} left"
