"""A machine's process table on paper."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery._os.linux import ProcessFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class FakeTable:
    """What the kernel would tell of all processes; install() puts it in the kernel's place.

    Start times grow with each process that is added. now: the moment in ticks since boot, None for long after all
    starts.
    """

    def __init__(self) -> None:
        self.rows: dict[int, ProcessFacts] = {}
        self.cookies: dict[int, str | None] = {}
        self.now: int | None = None
        self._ticks = itertools.count(1000)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer in the kernel's place until the end of the test."""
        for name in ("processes", "environ_value", "age"):
            monkeypatch.setattr(kernel, name, getattr(self, name))

    def add(
        self,
        pid: int,
        ppid: int = 1,
        *,
        session: int | None = None,
        start_time: int | None = None,
        cookie: str | None = None,
        cpu_ticks: int = 0,
        rss_pages: int = 0,
    ) -> tuple[int, int]:
        """One more process, in a session of its own unless told; return its (pid, start time)."""
        started = next(self._ticks) if start_time is None else start_time
        own = pid if session is None else session
        self.rows[pid] = ProcessFacts(pid, ppid, own, own, "S", started, cpu_ticks, rss_pages, "fake")
        self.cookies[pid] = cookie
        return (pid, started)

    def change(self, pid: int, *, cpu_ticks: int) -> None:
        """It has used more time."""
        self.rows[pid] = self.rows[pid]._replace(cpu_ticks=cpu_ticks)

    def end(self, pid: int, *, heir: int = 1) -> None:
        """It has ended and been reaped; its children come to heir."""
        del self.rows[pid]
        for row in list(self.rows.values()):
            if row.ppid == pid:
                self.rows[row.pid] = row._replace(ppid=heir)

    def processes(self) -> Iterator[ProcessFacts]:
        """See rookery's kernel."""
        return iter(list(self.rows.values()))

    def environ_value(self, pid: int, key: str) -> str | None:  # noqa: ARG002 - same shape as the kernel's
        """See rookery's kernel; only the cookie is known."""
        return self.cookies[pid]

    def age(self, started: int) -> float:
        """See rookery's kernel."""
        return 3600.0 if self.now is None else (self.now - started) / kernel.TICKS_PER_SECOND
