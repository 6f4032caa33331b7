"""What can be known of a process from outside, and of this one from inside."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass

from rookery import errors
from rookery._os import kernel, machine
from rookery._os.title import set_title
from rookery.metrics.sampler import Root, tree_of

__all__ = ["Memory", "ProcessInfo", "Totals", "process_info", "set_title"]

_REMEMBERED = 1000
_used: dict[tuple[int, int], tuple[float, int]] = {}
"""Of the last look at each: when, and its cpu time in ticks."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. resident: in memory now; virtual: its address space; shared: of resident, what others may share;
    swapped; proportional: resident, with what is shared divided among those who do, or None where we may not know.
    """

    resident: int
    virtual: int
    shared: int
    swapped: int
    proportional: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Of a process and everything below it. memory: resident bytes; cpu: seconds used by those that live."""

    processes: int
    memory: int
    cpu: float


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One look at a process. What may not be known (another user's) is None or empty.

    title: its arguments as ps shows them; started_at: seconds since 1970; uptime, cpu_user, cpu_system: seconds;
    cpu_percent: of one core, since the last look at it from here, at first since its start; fds: how many are open.
    """

    pid: int
    ppid: int
    name: str
    title: str
    argv: tuple[str, ...]
    state: str
    executable: str | None
    cwd: str | None
    env: dict[str, str]
    started_at: float
    uptime: float
    threads: int
    fds: int | None
    memory: Memory
    cpu_user: float
    cpu_system: float
    cpu_percent: float
    tree: Totals
    python: str
    platform: str
    arch: str


def process_info(pid: int | None = None) -> ProcessInfo:
    """Look at a process, this one by default. Blocks for a few milliseconds: all of /proc is read for the tree.

    Raises ProcessNotFound. Linux only: elsewhere UsageError.
    """
    number = os.getpid() if pid is None else pid
    if not os.path.isdir("/proc/self"):
        raise errors.UsageError("process_info() needs /proc")
    found = kernel.facts(number)
    if found is None:
        raise errors.ProcessNotFound(number)
    status = _status(number)
    user, system = _cpu(number)
    age = kernel.age(found.start_time)
    members = list(tree_of(Root(number, found.start_time)))
    argv = kernel.command_line(number)
    is_own = number == os.getpid()
    return ProcessInfo(
        pid=number,
        ppid=found.ppid,
        name=found.name,
        title=" ".join(argv),
        argv=tuple(sys.orig_argv) if is_own else tuple(argv),
        state=found.state,
        executable=_link(number, "exe"),
        cwd=_link(number, "cwd"),
        env=dict(os.environ) if is_own else kernel.environment(number) or {},
        started_at=time.time() - age,
        uptime=age,
        threads=status.get("Threads", 1),
        fds=machine.count_open_files(number),
        memory=Memory(
            resident=found.rss_pages * kernel.PAGE_SIZE,
            virtual=status.get("VmSize", 0) * 1024,
            shared=(status.get("RssFile", 0) + status.get("RssShmem", 0)) * 1024,
            swapped=status.get("VmSwap", 0) * 1024,
            proportional=_proportional(number),
        ),
        cpu_user=user,
        cpu_system=system,
        cpu_percent=_percent((number, found.start_time), found.cpu_ticks, age),
        tree=Totals(
            processes=len(members),
            memory=sum(one.rss_pages for one in members) * kernel.PAGE_SIZE,
            cpu=sum(one.cpu_ticks for one in members) / kernel.TICKS_PER_SECOND,
        ),
        python=platform.python_version(),
        platform=sys.platform,
        arch=platform.machine(),
    )


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _status(pid: int) -> dict[str, int]:
    pairs = (line.partition(":") for line in _read(pid, "status").splitlines())
    return {name: int(value.split()[0]) for name, _, value in pairs if value.split() and value.split()[0].isdecimal()}


def _cpu(pid: int) -> tuple[float, float]:
    field = _read(pid, "stat").rpartition(")")[2].split()
    if len(field) < 13:  # it went meanwhile
        return 0.0, 0.0
    return int(field[11]) / kernel.TICKS_PER_SECOND, int(field[12]) / kernel.TICKS_PER_SECOND


def _link(pid: int, name: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return None


def _proportional(pid: int) -> int | None:
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _percent(identity: tuple[int, int], ticks: int, age: float) -> float:
    now = time.monotonic()
    then, before = _used.get(identity, (now - age, 0))
    if len(_used) >= _REMEMBERED:
        _used.clear()
    _used[identity] = (now, ticks)
    elapsed = now - then
    return 100.0 * (ticks - before) / kernel.TICKS_PER_SECOND / elapsed if elapsed > 0 else 0.0
