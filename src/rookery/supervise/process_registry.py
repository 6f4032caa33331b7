"""The records of a ProcessManager by id: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery.errors import UnknownProcess, UsageError
from rookery.supervise.process_record import Kind, ProcessRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Registry:
    """most: records that are kept; the oldest of those that have ended make room. Living ones are always kept."""

    def __init__(self, most: int, removed: Callable[[ProcessRecord], object]) -> None:
        self._most = most
        self._removed = removed
        self._records: dict[str, ProcessRecord] = {}
        self._number = 0

    def __iter__(self) -> Iterator[ProcessRecord]:
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def add(self, kind: Kind, command: str, now: float, *, id: str = "") -> ProcessRecord:
        """A new record, under its own id or a new one such as "run-1". Raises UsageError where the id is taken."""
        while not id or (id in self._records and id == f"{kind}-{self._number}"):
            self._number += 1
            id = f"{kind}-{self._number}"
        if id in self._records:
            raise UsageError(f"there is a process {id!r} already", hint="cleanup() forgets those that have ended")
        record = self._records[id] = ProcessRecord(id, kind, command, now)
        self._make_room()
        return record

    def get(self, id: str) -> ProcessRecord:
        """The record. Raises UnknownProcess."""
        record = self._records.get(id)
        if record is None:
            near = nearest(id, self._records, most=3)
            raise UnknownProcess(id, hint=f"did you mean {' or '.join(near)}?" if near else "see list()")
        return record

    def remove_ended(self) -> list[ProcessRecord]:
        """Forget those that have ended."""
        ended = [record for record in self if record.is_over]
        for record in ended:
            self._remove(record)
        return ended

    def _make_room(self) -> None:
        for record in self:
            if len(self._records) <= self._most:
                return
            if record.is_over:
                self._remove(record)

    def _remove(self, record: ProcessRecord) -> None:
        del self._records[record.id]
        self._removed(record)
