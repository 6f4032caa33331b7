"""Who writes to which file: the open sources by (unit, generation), and the files they share."""

from __future__ import annotations

import math
import os
import sys
import time

from rookery.logs.intake import Scratch
from rookery.logs.maker import Maker
from rookery.logs.request import Stream, log_path, unit_key
from rookery.logs.rotation import remove
from rookery.logs.source import Source
from rookery.logs.writer import RETRY_EVERY, LogFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rookery.logs.rules import Rules
    from rookery.logs.trouble import Tell
    from rookery.logs.watch import Watch

    Json = dict[str, Any]

TURN = 256 * 1024
"""Bytes one source may move before the others have their turn."""
FLUSH_LIMIT = 64 * 1024 * 1024
"""Bytes a flush moves at most: a writer at full speed must not keep it for ever."""
LINE_PATIENCE = 5.0
"""Seconds a source waits for the end of another one's long line in the same file."""
GATHER = 0.02
"""Seconds between two rounds while only little comes: many small writes cost one turn."""
BUSY = 16 * 1024
"""Bytes from one pipe in one round that mean: do not wait with the next."""
BUSY_FOR = 0.05
"""Seconds after such a round in which nothing is gathered: its writer may stand before a full pipe."""
FIRST_LOOK = 0.001
LAST_LOOK = 0.1
"""Seconds before a pipe with an unfinished line is looked into again, unasked. A writer in the middle of a write that
is larger than the pipe makes no event when he fills it up from there on (pipe_write in the kernel); but a signal, for
those who ask for it, and then nobody needs to look."""
MOST_LEAVING = 256
"""Closed sources that may wait for room on the disk."""


class Units:
    """All open sources. watch: they are registered there. clock: monotonic seconds. tell: for the manager.

    hears_signals: SIGIO has a handler, and look_again() is called after it.
    """

    def __init__(
        self,
        watch: Watch,
        *,
        tell: Tell = lambda _: None,
        to_pack: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        hears_signals: bool = False,
    ) -> None:
        self._hears_signals = hears_signals
        self._watch = watch
        self._clock = clock
        self._tell = tell
        self._to_pack = to_pack
        self._scratch = Scratch()
        self._units: dict[tuple[str, int], dict[str, Source]] = {}
        self._logs: dict[str, LogFile] = {}
        self._ready: dict[Source, None] = {}
        self._waiting: dict[Source, float] = {}
        self._blocked: dict[Source, float] = {}
        self._leaving: dict[Source, None] = {}
        self._lossy: set[LogFile] = set()
        self._unfinished: dict[Source, tuple[float, float]] = {}
        """When to look again, and how long that was put off."""
        self._round_at = 0.0
        self._busy_until = 0.0

    def keys(self) -> list[tuple[str, int]]:
        """The (unit, generation) pairs that are open."""
        return list(self._units)

    def open(self, request: Json, fds: list[int]) -> Json:
        """Collect the pipes of one unit; fds in the request's order. Taken over only if this returns.

        Opening what is open closes the fds and says ``already``. Raises KeyError, TypeError or ValueError for a
        request that makes no sense.
        """
        key = unit_key(request)
        order: list[str] = request["order"]
        streams: dict[str, Json] = request["streams"]
        if len(order) != len(fds) or len(set(order)) != len(order) or set(order) != set(streams):
            raise ValueError(f"{len(fds)} fds for the order {order} of the streams {sorted(streams)}")
        asked = [Stream(streams[name]) for name in order]
        makers = [Maker(one.format) if one.format else None for one in asked]  # a pattern may be wrong
        if key in self._units:
            for fd in fds:
                os.close(fd)
            return {"already": True, "problems": {}}
        sources: dict[str, Source] = {}
        for name, fd, stream, maker in zip(order, fds, asked, makers, strict=True):
            log = self._log(stream.path, stream.rules)
            combined = self._log(stream.combined, stream.rules) if stream.combined else None
            for one in (log, combined):
                if one is not None and maker is not None:
                    one.dress = maker.note
            name_in_index = f"{key[0]}/{key[1]}/{name}"
            sources[name] = Source(name_in_index, fd, log, scratch=self._scratch, combined=combined, maker=maker)
        self._units[key] = sources
        for source in sources.values():
            try:
                self._watch.add_source(source)
            except OSError as error:  # a plain file has no events
                source.ended = True
                _say(f"unit {key[0]}: {error.strerror}: this is no pipe")
        problems = {name: source.log.problem for name, source in sources.items() if source.log.problem}
        return {"already": False, "problems": problems}

    def flush(self, request: Json) -> Json:
        """Write all that is in a unit's pipes now: by stream the file, its size, and where this unit's part begins."""
        sources = self._units.get(unit_key(request), {})
        for source in sources.values():
            source.finish(FLUSH_LIMIT)
            source.log.refresh()
            self._follow_state(source)
        return {"offsets": {name: [one.log.path, one.log.size, one.began] for name, one in sources.items()}}

    def close(self, request: Json) -> Json:
        """Flush a unit, then forget it; what finds no room on the disk and may not be dropped is kept until it does."""
        answer = self.flush(request)
        for source in self._units.pop(unit_key(request), {}).values():
            if source.waits_for == "disk":
                self._leaving[source] = None
                while len(self._leaving) > MOST_LEAVING:
                    self._forget(next(iter(self._leaving)))
            else:
                self._forget(source)
        return answer

    def reopen(self) -> Json:
        """Open all files anew, after somebody else has rotated them."""
        for log in self._logs.values():
            log.refresh(reopen=True)
        return {}

    def empty(self, request: Json) -> Json:
        """Begin files anew, and delete what was rotated. Raises KeyError, TypeError or ValueError."""
        paths = [log_path(path) for path in request["paths"]]
        for path in paths:
            log = self._logs.get(path)
            if log is None:
                remove(path)
            else:
                log.empty()
        return {"emptied": len(paths)}

    def stats(self) -> Json:
        """Counters of all sources and files."""
        return {
            "sources": [
                {"unit": unit, "generation": generation, "stream": name, **source.counters()}
                for (unit, generation), sources in self._units.items()
                for name, source in sources.items()
            ],
            "files": [log.counters() for log in self._logs.values()],
        }

    def drain(self) -> None:
        """Write all that is readable now, of every unit; unfinished lines of stamped logs wait for the next one."""
        for source in self._sources():
            source.drain(source.intake.pending())  # what comes later waits in the pipe for the next collector
        for log in self._logs.values():
            log.retry(force=True)

    def shut(self) -> None:
        """Close every pipe and file."""
        for source in [*self._sources(), *self._leaving]:
            self._watch.remove(source.fd)
            source.close()
        for log in self._logs.values():
            log.close()
        self._units.clear()
        self._logs.clear()
        self._scratch.close()

    def on_event(self, source: Source) -> None:
        """A pipe was reported readable; tick() looks into it."""
        if not source.ended:
            self._ready[source] = None

    def look_again(self) -> None:
        """Somebody has written into a pipe with an unfinished line."""
        now = self._clock()
        self._unfinished = {source: (now, pause) for source, (_, pause) in self._unfinished.items()}

    @property
    def is_gathering(self) -> bool:
        """Whether pipes should not be waited for now: more will have come when the next round is due."""
        return bool(self._ready) and self._clock() < self._round_at

    def tick(self) -> None:
        """Once per turn: a round, if it is due; those go on who waited for a line to end; full disks are retried."""
        now = self._clock()
        for source, (at, _) in self._unfinished.items():
            if now >= at:
                self._ready[source] = None
        if self._ready and now >= self._round_at:
            self._round(now)
        for source, until in list(self._waiting.items()):
            source.pump(TURN, force=now >= until)
            self._follow_state(source)
        for source, at in list(self._blocked.items()):
            if now >= at:
                del self._blocked[source]
                if source in self._leaving:
                    source.finish(FLUSH_LIMIT)
                else:
                    source.pump(TURN)
                self._follow_state(source)
                if source in self._leaving and source.waits_for != "disk":
                    self._forget(source)
        if self._lossy:
            self._lossy = {log for log in self._lossy if not log.retry()}

    def timeout(self) -> float | None:
        """Seconds until the next tick is due without any event; None: never."""
        now = self._clock()
        due = [RETRY_EVERY] if self._lossy else []
        due += [until - now for until in self._waiting.values()]
        due += [at - now for at in self._blocked.values()]
        due += [at - now for source, (at, _) in self._unfinished.items() if source not in self._ready and at < math.inf]
        if self._ready:
            due.append(self._round_at - now)
        return max(0.0, min(due)) if due else None

    def _round(self, now: float) -> None:
        ready, self._ready = self._ready, {}
        for source in ready:
            if source.ended:
                continue
            moved = source.pump(TURN)
            if not moved:
                source.check_end()
            elif moved >= BUSY:
                self._busy_until = now + BUSY_FOR
            self._follow_state(source)
            if source.is_mid_line and not source.ended:
                self._look_later(source, now, has_moved=bool(moved))
            elif self._unfinished.pop(source, None) is not None and not source.ended:
                source.intake.signal(on=False)
        self._round_at = now if now < self._busy_until else now + GATHER

    def _look_later(self, source: Source, now: float, *, has_moved: bool) -> None:
        """There is an unfinished line in its pipe."""
        _, before = self._unfinished.get(source, (0.0, 0.0))
        pause = FIRST_LOOK if has_moved else min(LAST_LOOK, before * 2 or FIRST_LOOK)
        if has_moved:
            source.intake.signal(on=False)
        elif before >= LAST_LOOK and self._hears_signals:
            was_on = source.intake.signals
            # One more look after the signal was asked for, at what came before that.
            if source.intake.signal(on=True) and was_on:
                pause = math.inf
        self._unfinished[source] = (now + pause, pause)

    def _sources(self) -> Iterator[Source]:
        for sources in self._units.values():
            yield from sources.values()

    def _log(self, path: str, rules: Rules) -> LogFile:
        log = self._logs.get(path)
        if log is None:
            log = self._logs[path] = LogFile(path, rules, tell=self._tell, to_pack=self._to_pack)
            if rules.compress:
                self._to_pack(path)  # what an earlier collector was killed over
        log.rules = rules  # the latest word counts
        log.users += 1
        return log

    def _forget(self, source: Source) -> None:
        for waiting in (self._ready, self._waiting, self._blocked, self._unfinished, self._leaving):
            waiting.pop(source, None)
        self._watch.remove(source.fd)
        source.ended = True
        source.close()
        for log in source.files:
            log.users -= 1
            if log.users == 0:
                log.close()
                self._lossy.discard(log)
                del self._logs[log.path]

    def _follow_state(self, source: Source) -> None:
        """Note what must happen so that a source goes on."""
        self._lossy.update(log for log in source.files if log.loss.size)
        if source.ended:
            self._watch.remove(source.fd)
        else:
            self._watch.rest(source, on=bool(source.waits_for))
        if source.waits_for == "line" and not source.ended:
            self._waiting.setdefault(source, self._clock() + LINE_PATIENCE)
        else:
            self._waiting.pop(source, None)
        if source.waits_for == "disk" and not source.ended:
            self._blocked.setdefault(source, self._clock() + RETRY_EVERY)
        else:
            self._blocked.pop(source, None)
        if source.has_more and not source.ended:
            self._ready[source] = None


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"rookery-collector: {text}\n")
    except (OSError, ValueError):
        return
