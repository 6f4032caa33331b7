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


def is_alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


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
