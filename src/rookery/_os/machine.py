"""What the machine gives us: CPUs, memory, files, disk, and in whose cgroup a process lives.

Each function answers None (or nothing) where the system does not tell; none raises.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CGROUPS = "/sys/fs/cgroup"


def cpus() -> float:
    """How many CPUs this process may use: by affinity, and by the quota of its cgroup (which may be a fraction)."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    number = float(len(affinity(0)) if affinity is not None else os.cpu_count() or 1)
    quotas = [quota for text in _up_the_cgroups("cpu.max") if (quota := _quota(text)) is not None]
    return min([number, *quotas])


def _quota(text: str) -> float | None:
    quota, _, period = text.partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None


def memory() -> tuple[int, int] | None:
    """Bytes in all and bytes available (without swap) for this process: the machine's, or its cgroup's where less."""
    found = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024 if rest.split() else 0
    if not {"MemTotal", "MemAvailable"} <= found.keys():
        return None
    total, available = found["MemTotal"], found["MemAvailable"]
    for limit, used in zip(_up_the_cgroups("memory.max"), _up_the_cgroups("memory.current"), strict=False):
        if limit.isdecimal() and used.isdecimal():
            total = min(total, int(limit))
            available = min(available, max(0, int(limit) - int(used)))
    return total, available


def _up_the_cgroups(name: str) -> list[str]:
    """That file of our cgroup (v2) and of all above it, where it is there."""
    path = cgroup(os.getpid())
    texts = []
    while path is not None:
        texts.append(_read(os.path.join(_CGROUPS, path.lstrip("/"), name)).strip())
        path = os.path.dirname(path) if path not in ("/", "") else None
    return [text for text in texts if text]


def cgroup(pid: int) -> str | None:
    """The path of a process's cgroup, as systemd names it (``/user.slice/user-1000.slice/session-2.scope``)."""
    lines = _read(f"/proc/{pid}/cgroup").splitlines()
    # 0:: is version 2; in a mixed tree systemd's own hierarchy is a named one.
    for mark in ("0::", "1:name=systemd:"):
        for line in lines:
            if line.startswith(mark):
                return line.removeprefix(mark)
    return None


def open_files(pid: int) -> tuple[int, int] | None:
    """Soft and hard limit of a process's open files; a very large number for none."""
    match = re.search(r"^Max open files\s+(\S+)\s+(\S+)", _read(f"/proc/{pid}/limits"), re.MULTILINE)
    if match is None:
        return None
    soft, hard = (int(text) if text.isdecimal() else 2**63 for text in match.groups())
    return soft, hard


def count_open_files(pid: int) -> int | None:
    """How many files a process has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def disk(path: str) -> tuple[int, int] | None:
    """Bytes of the file system that a path is on, and bytes that we may still write."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def has_systemd() -> bool:
    """Whether systemd runs this machine (as sd_booted asks)."""
    return os.path.isdir("/run/systemd/system")


def lingers(user: str) -> bool:
    """Whether this user's services stay without a login."""
    return os.path.exists(os.path.join("/var/lib/systemd/linger", user))


def units_that_mention(word: str, folders: list[str]) -> list[str]:
    """The systemd service files in these folders with a line ``Exec...=`` that has the word, by path."""
    found = []
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".service") and re.search(rf"^Exec\w+=.*\b{word}\b", _read(path), re.MULTILINE):
                found.append(path)
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
