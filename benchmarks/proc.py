"""What /proc tells of processes."""

import contextlib
import os

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads, in nanosecond steps where the kernel counts so, else in its ticks."""
    try:
        return sum(_first_number(f"/proc/{pid}/task/{thread}/schedstat") for thread in _threads(pid)) / 1e9
    except FileNotFoundError:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def pss(pid):
    """Bytes of memory; pages shared by several processes are counted in parts."""
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))


def children(parent, name):
    """The pids of parent's children that run the program of this name."""
    found = set()
    for thread in _threads(parent):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
            found.update(int(pid) for pid in file.read().split() if _name(pid.decode()) == name)
    return found


def descendants(parent):
    """The pids of all that came from it and are no zombies."""
    found, new = set(), {parent}
    while new:
        new = {child for pid in new for child in _all_children(pid)} - found
        found |= new
    return {pid for pid in found if is_alive(pid)}


def command(pid):
    """Its arguments, by blanks; nothing when it has gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _all_children(parent):
    found = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in _threads(parent):
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                found.update(map(int, file.read().split()))
    return found


def _threads(pid):
    return os.listdir(f"/proc/{pid}/task")


def _first_number(path):
    with open(path, "rb") as file:
        return int(file.read().split()[0])


def _name(pid):
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
