"""Who writes to which file: the open sources by (unit, generation), and the files they share."""

from __future__ import annotations

import os
import selectors
import sys
import time

from rookery.logs.source import Source
from rookery.logs.writer import RETRY_EVERY, LogFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Json = dict[str, Any]

TURN = 256 * 1024
"""Bytes one source may move before the others have their turn."""
FLUSH_LIMIT = 64 * 1024 * 1024
"""Bytes a flush moves at most: a writer at full speed must not keep it for ever."""
LINE_PATIENCE = 5.0
"""Seconds a source waits for the end of another one's long line in the same file."""


class Units:
    """All open sources. selector: theirs are registered there, with themselves as data. clock: monotonic seconds."""

    def __init__(self, selector: selectors.BaseSelector, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._selector = selector
        self._clock = clock
        self._units: dict[tuple[str, int], dict[str, Source]] = {}
        self._logs: dict[str, LogFile] = {}
        self._waiting: dict[Source, float] = {}
        self._lossy: set[LogFile] = set()

    def keys(self) -> list[tuple[str, int]]:
        """The (unit, generation) pairs that are open."""
        return list(self._units)

    def open(self, request: Json, fds: list[int]) -> Json:
        """Collect the pipes of one unit; fds in the request's order. Taken over only if this returns.

        Opening what is open closes the fds and says ``already``. Raises KeyError, TypeError or ValueError for a
        request that makes no sense.
        """
        key = _key(request)
        order: list[str] = request["order"]
        streams: dict[str, Json] = request["streams"]
        if len(order) != len(fds) or len(set(order)) != len(order) or set(order) != set(streams):
            raise ValueError(f"{len(fds)} fds for the order {order} of the streams {sorted(streams)}")
        settings = [_settings(streams[name]) for name in order]
        if key in self._units:
            for fd in fds:
                os.close(fd)
            return {"already": True, "problems": {}}
        sources: dict[str, Source] = {}
        for name, fd, (path, max_size, keep, timestamps) in zip(order, fds, settings, strict=True):
            log = self._log(path, max_size, keep)
            sources[name] = Source(fd, log, timestamps=timestamps)
        self._units[key] = sources
        for source in sources.values():
            try:
                self._selector.register(source.fd, selectors.EVENT_READ, source)
            except OSError as error:  # a plain file has no events
                source.ended = True
                _say(f"unit {key[0]}: {error.strerror}: this is no pipe")
        problems = {name: source.log.problem for name, source in sources.items() if source.log.problem}
        return {"already": False, "problems": problems}

    def flush(self, request: Json) -> Json:
        """Write all that is in a unit's pipes now; the files and their sizes after it, by stream."""
        sources = self._units.get(_key(request), {})
        for source in sources.values():
            source.finish(FLUSH_LIMIT)
            source.log.refresh()
            self._follow_state(source)
        return {"offsets": {name: [source.log.path, source.log.size] for name, source in sources.items()}}

    def close(self, request: Json) -> Json:
        """Flush a unit, then forget it."""
        answer = self.flush(request)
        for source in self._units.pop(_key(request), {}).values():
            source.ended = True
            self._follow_state(source)
            source.close()
            self._leave(source.log)
        return answer

    def reopen(self) -> Json:
        """Open all files anew, after somebody else has rotated them."""
        for log in self._logs.values():
            log.refresh(reopen=True)
        return {}

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
        """Write all that is readable now, of every unit."""
        for source in self._sources():
            source.finish(source.pending())  # what comes later waits in the pipe for the next collector
        for log in self._logs.values():
            log.retry(force=True)

    def shut(self) -> None:
        """Close every pipe and file."""
        for source in self._sources():
            source.ended = True
            self._follow_state(source)
            source.close()
        for log in self._logs.values():
            log.close()
        self._units.clear()
        self._logs.clear()

    def on_event(self, source: Source) -> None:
        """A pipe was reported readable."""
        if not source.ended:
            source.on_event(TURN)
            self._follow_state(source)

    def tick(self) -> None:
        """Once per turn: let those go on who waited for a line to end, and retry full disks."""
        if self._waiting:
            now = self._clock()
            for source, until in list(self._waiting.items()):
                source.pump(TURN, force=now >= until)
                self._follow_state(source)
        if self._lossy:
            self._lossy = {log for log in self._lossy if not log.retry()}

    def timeout(self) -> float | None:
        """Seconds until the next tick is due without any event; None: never."""
        due = [RETRY_EVERY] if self._lossy else []
        if self._waiting:
            due.append(max(0.0, min(self._waiting.values()) - self._clock()))
        return min(due, default=None)

    def _sources(self) -> Iterator[Source]:
        for sources in self._units.values():
            yield from sources.values()

    def _log(self, path: str, max_size: int, keep: int) -> LogFile:
        log = self._logs.get(path)
        if log is None:
            log = self._logs[path] = LogFile(path, max_size=max_size, keep=keep)
        log.max_size, log.keep = max_size, keep  # the latest word counts
        log.users += 1
        return log

    def _leave(self, log: LogFile) -> None:
        log.users -= 1
        if log.users == 0:
            log.close()
            self._lossy.discard(log)
            del self._logs[log.path]

    def _follow_state(self, source: Source) -> None:
        """Have events only for what may be read: a waiting pipe stays readable and would spin the loop."""
        if source.log.loss.size:
            self._lossy.add(source.log)
        if source.is_waiting and not source.ended:
            self._waiting.setdefault(source, self._clock() + LINE_PATIENCE)
        else:
            self._waiting.pop(source, None)
        is_registered = source.fd in self._selector.get_map()
        wanted = not (source.is_waiting or source.ended)
        if is_registered and not wanted:
            self._selector.unregister(source.fd)
        elif wanted and not is_registered:
            self._selector.register(source.fd, selectors.EVENT_READ, source)


def _key(request: Json) -> tuple[str, int]:
    return str(request["unit"]), int(request["generation"])


def _settings(stream: Json) -> tuple[str, int, int, bool]:
    path, max_size, keep = str(stream["path"]), int(stream["max_size"]), int(stream["keep"])
    if not os.path.isabs(path) or "\0" in path or max_size < 0 or keep < 0:
        raise ValueError(f"a log file needs an absolute path and no negative numbers: {stream}")
    os.fsencode(path)  # raises UnicodeEncodeError here rather than half-way through
    return os.path.normpath(path), max_size, keep, bool(stream.get("timestamps", False))


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"rookery-collector: {text}\n")
    except (OSError, ValueError):
        return
