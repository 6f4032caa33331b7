"""Processes drawn as a tree, with their numbers in columns. Pure but for the look at cpu times."""

from __future__ import annotations

import time

from rookery._base.units import format_size
from rookery._os import kernel
from rookery.cli.output import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_LEAST = 20
"""Characters that a command keeps in the narrowest terminal."""
_FEWEST_TICKS = 2.0


def drawn(processes: Sequence[dict[str, Any]], *, room: int | None = None) -> list[str]:
    """One line per process (a ProcessRow): pid, cpu, memory, command behind its branch.

    room: characters per line, None for no limit. One whose parent is not among them is a root.
    """
    rows = [
        (str(one["pid"]), _percent(one["cpu"]), format_size(one["memory"]), branch + harmless(one["command"]))
        for one, branch in branches(processes)
    ]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    lines = []
    for *numbers, command in rows:
        head = "  ".join(f"{number:>{width}}" for number, width in zip(numbers, widths, strict=True)) + "  "
        lines.append(head + shortened(command, None if room is None else max(_LEAST, room - len(head))))
    return lines


def branches(processes: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each process with the lines that lead to it, parents before children; what forms a ring is left out."""
    known = {one["pid"] for one in processes}
    children: dict[int | None, list[dict[str, Any]]] = {}
    for one in processes:
        children.setdefault(one["ppid"] if one["ppid"] in known else None, []).append(one)
    todo = [(one, "", "") for one in reversed(children.get(None, []))]
    while todo:
        one, branch, below = todo.pop()
        yield one, branch
        ours = children.get(one["pid"], [])
        last = len(ours) - 1
        todo += [
            (child, below + ("└─ " if place == last else "├─ "), below + ("   " if place == last else "│  "))
            for place, child in reversed(list(enumerate(ours)))
        ]


def shortened(text: str, room: int | None) -> str:
    """The text, with an ellipsis at its end where it is longer than the room."""
    return text if room is None or len(text) <= room else text[: max(0, room - 1)] + "…"


def cpu_times(pids: Sequence[int]) -> dict[tuple[int, int], int]:
    """The clock ticks that each living process has used so far, by (pid, start time)."""
    found = (kernel.facts(pid) for pid in pids)
    return {(one.pid, one.start_time): one.cpu_ticks for one in found if one is not None}


def percents(
    before: Mapping[tuple[int, int], int], after: Mapping[tuple[int, int], int], seconds: float
) -> dict[int, float]:
    """Percent of one core by pid, of those that lived for all of the time."""
    scale = 100.0 / kernel.TICKS_PER_SECOND / seconds
    return {
        identity[0]: round((ticks - before[identity]) * scale, 1)
        for identity, ticks in after.items()
        if identity in before
    }


def with_cpu(details: Sequence[dict[str, Any]], seconds: float) -> None:
    """Fill in the cpu of every process of InstanceDetails, watched for so many seconds (none: left as they are)."""
    processes = [one for detail in details for one in detail["tree"]]
    if not processes or seconds * kernel.TICKS_PER_SECOND < _FEWEST_TICKS:
        return
    pids = [one["pid"] for one in processes]
    before, begun = cpu_times(pids), time.monotonic()
    time.sleep(seconds)
    found = percents(before, cpu_times(pids), time.monotonic() - begun)
    for one in processes:
        one["cpu"] = found.get(one["pid"], one["cpu"])


def _percent(cpu: float | None) -> str:
    return "-" if cpu is None else f"{cpu:.1f}%"
