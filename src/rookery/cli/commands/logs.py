"""``rook logs``: the last lines of output, and what comes. Reads the files itself where it may."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
import time
from typing import Self

from rookery.cli.log_files import Reading, load_positions
from rookery.cli.log_output import Output
from rookery.cli.log_request import parse_request
from rookery.cli.output import say
from rookery.control import places
from rookery.control.client import with_selectors
from rookery.control.launch import reading_client
from rookery.errors import NothingMatched
from rookery.logs.feeds import feeds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, TextIO

    from rookery.cli.log_request import Request
    from rookery.control.client import Client


def run(argv: list[str]) -> int:
    """See ``rook logs --help``. Raises NothingMatched."""
    request = parse_request(argv)
    home = places.home(os.environ)
    client = reading_client(home)
    if client is None:
        if request.selectors:
            raise NothingMatched(f"nothing matches {' '.join(request.selectors)}", why=f"no manager runs for {home}")
        say(f"no manager runs; logs are in {places.log_folder(home)}")
        return 0
    path = with_selectors("/v1/logs", request.selectors)

    def ask(timeout: float) -> list[dict[str, Any]]:
        sources: list[dict[str, Any]] = client.request("GET", path, timeout=timeout)[1]
        return sources

    sources = ask(10.0)
    if not sources and not request.follow:
        say("no apps; start one with: rook start app.py")
    sys.stdout.flush()
    try:
        with _Interrupts(orderly=bool(request.cursor)) as interrupts:
            _read(request, client, sources, ask, interrupts)
    except BrokenPipeError:
        # Whoever read has seen enough (rook logs -f | head): no error, and nothing to say; 0, so that a pipeline with
        # pipefail goes on. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _read(
    request: Request,
    client: Client,
    sources: list[dict[str, Any]],
    ask: Callable[[float], list[dict[str, Any]]],
    interrupts: _Interrupts,
) -> None:
    output = Output(sys.stdout.buffer, request.look)
    try:
        Reading(request, output, ask, interrupts.pause, interrupts.check).run(sources)
    except PermissionError:
        from rookery.cli.log_remote import Remote

        interrupts.orderly = False
        found = feeds(sources, request.streams, combined=request.combined)
        Remote(request, output, client).run(found, load_positions(request.cursor))


class _Interrupts:
    """What ends the command from outside. orderly: a signal counts between two chunks only; the second one at once."""

    def __init__(self, *, orderly: bool) -> None:
        self.orderly = orderly
        self._came = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if self.orderly and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt or SystemExit if a signal has come."""
        if self._came == signal.SIGINT:
            raise KeyboardInterrupt
        if self._came:
            raise SystemExit(128 + self._came)

    def pause(self, seconds: float) -> None:
        """Wait; raise BrokenPipeError as soon as nobody reads our output any more."""
        self.check()
        if not _is_pipe(sys.stdout):
            time.sleep(seconds)
        else:
            waiting = select.poll()
            waiting.register(sys.stdout.fileno(), 0)  # errors are always reported
            if waiting.poll(seconds * 1000):
                raise BrokenPipeError
        self.check()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        is_first, self._came = not self._came, number
        if not (self.orderly and is_first):
            self.check()


def _is_pipe(stream: TextIO) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
