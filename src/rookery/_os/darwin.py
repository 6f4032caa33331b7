"""macOS: the same functions as linux.py with what there is.

No pidfd (a waiter thread instead), no subreaper (an escaped daemon is found by its cookie only where ``ps`` shows
its environment), start times by ``ps``. Supported by design, not run in CI.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from rookery._os.linux import ProcessFacts
else:
    ProcessFacts = namedtuple(  # noqa: PYI024 - as linux
        "ProcessFacts", "pid ppid group session state start_time cpu_ticks rss_pages name"
    )

TICKS_PER_SECOND = 100
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_FORMAT = "pid=,ppid=,pgid=,state=,rss=,time=,lstart=,comm="


def has_pidfd() -> bool:
    """There is none."""
    return False


def pidfd_open(pid: int) -> int:
    """Not here; callers ask has_pidfd first."""
    raise NotImplementedError(f"no pidfd on macOS (asked for {pid})")


def boot_id() -> str:
    """The boot's session uuid."""
    return _output("sysctl", "-n", "kern.bootsessionuuid").strip()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout


def _ticks(text: str) -> int:
    seconds = 0.0
    for part in text.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return int(seconds * TICKS_PER_SECOND)


def _parse(line: str) -> ProcessFacts:
    field = line.split(None, 11)
    started = int(time.mktime(time.strptime(" ".join(field[6:11]), "%a %b %d %H:%M:%S %Y")))
    return ProcessFacts(
        pid=int(field[0]),
        ppid=int(field[1]),
        group=int(field[2]),
        session=int(field[2]),
        state=field[3][0],
        start_time=started,
        cpu_ticks=_ticks(field[5]),
        rss_pages=int(field[4]) * 1024 // PAGE_SIZE,
        name=field[11].strip() if len(field) > 11 else "",
    )


def facts(pid: int) -> ProcessFacts | None:
    """See linux.facts."""
    line = _output("ps", "-o", _FORMAT, "-p", str(pid)).strip()
    return _parse(line) if line else None


def start_time(pid: int) -> int | None:
    """See linux.start_time (here: seconds since 1970)."""
    found = facts(pid)
    return None if found is None else found.start_time


def is_alive(pid: int, started: int | None = None) -> bool:
    """See linux.is_alive."""
    found = facts(pid)
    return found is not None and found.state != "Z" and (started is None or found.start_time == started)


def processes() -> Iterator[ProcessFacts]:
    """See linux.processes."""
    for line in _output("ps", "-axo", _FORMAT).splitlines():
        found = _parse(line)
        if found.state != "Z":
            yield found


def children(pid: int) -> list[int]:
    """See linux.children."""
    return [int(child) for child in _output("pgrep", "-P", str(pid)).split()]


def adopted(file: int = -1) -> list[int]:  # noqa: ARG001
    """See linux.adopted; nothing comes to anybody here."""
    return []


def open_adopted() -> int:
    """See linux.open_adopted."""
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def environ_value(pid: int, key: str) -> str | None:
    """See linux.environ_value; values with blanks are cut, which a cookie has not."""
    for word in _output("ps", "-Eww", "-o", "command=", "-p", str(pid)).split():
        if word.startswith(key + "="):
            return word[len(key) + 1 :]
    return None


def environment(pid: int) -> dict[str, str] | None:  # noqa: ARG001
    """See linux.environment; here it is not to be had whole."""
    return None


def command_line(pid: int) -> list[str]:
    """See linux.command_line; blanks inside arguments are lost."""
    return _output("ps", "-ww", "-o", "command=", "-p", str(pid)).split()


def signal_process(pid: int, started: int, number: int) -> bool:
    """See linux.signal_process; between comparing and signalling the pid could be used again."""
    if not is_alive(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def age(started: int) -> float:
    """See linux.age."""
    return time.time() - started


def ticks() -> int | None:
    """See linux.ticks."""
    return None


def has_children() -> bool:
    """See linux.has_children."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def set_subreaper(on: bool) -> bool:  # noqa: ARG001 - same shape as linux
    """There is none."""
    return False


def is_subreaper() -> bool:
    """Never."""
    return False


def start_scheduled(nice: int | None, affinity: tuple[int, ...] | None, start: Callable[[], int]) -> int:
    """See linux.start_scheduled; here the priority is set a moment after the start, and CPUs cannot be chosen."""
    if affinity is not None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    pid = start()
    if nice is not None:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    return pid


def peer(connection: socket.socket) -> tuple[int, int, int]:
    """See linux.peer; the pid is not told."""
    import struct  # noqa: PLC0415

    raw = connection.getsockopt(0, 1, struct.calcsize("2Ih16I"))
    _, uid, _, gid = struct.unpack_from("2Ih2xI", raw)
    return 0, uid, gid
