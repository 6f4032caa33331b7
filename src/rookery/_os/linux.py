"""Linux: pidfd, /proc, subreaper.

A process is named by (pid, start time), never by its pid alone: pids are used again. The start time is field 22 of
/proc/PID/stat, in clock ticks since boot.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import namedtuple  # typing.NamedTuple would cost the keeper 5 ms of start-up

from rookery._os import features

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from typing import Any, NamedTuple

    class ProcessFacts(NamedTuple):
        """One line of /proc/PID/stat: state letter, parents, group and session, start and cpu time in ticks."""

        pid: int
        ppid: int
        group: int
        session: int
        state: str
        start_time: int
        cpu_ticks: int
        rss_pages: int
        name: str
else:
    ProcessFacts = namedtuple(  # noqa: PYI024
        "ProcessFacts", "pid ppid group session state start_time cpu_ticks rss_pages name"
    )

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
DEAD_STATES = "ZXx"
_KTHREADD = 2
_prctl_function: Any = None
_CANNOT_LOOK = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def has_pidfd() -> bool:
    """Whether pidfd_open and pidfd_send_signal work (5.3)."""
    known = features.probed.get("pidfd")
    return features.has("pidfd", _probe_pidfd) if known is None else known


def _probe_pidfd() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    fd = os.pidfd_open(os.getpid())
    try:
        signal.pidfd_send_signal(fd, 0)
    finally:
        os.close(fd)
    return True


def pidfd_open(pid: int) -> int:
    """A descriptor that is readable when the process has ended. Raises ProcessLookupError."""
    return os.pidfd_open(pid)


def boot_id() -> str:
    """What changes with each boot; "" where the kernel does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def facts(pid: int) -> ProcessFacts | None:
    """The facts of one process (a zombie too), or None where there is none.

    Raises OSError where there are no descriptors left to look with: that says nothing about the process.
    """
    line = _stat(pid)
    return None if line is None else _parse_stat(line)


def _stat(pid: int) -> bytes | None:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _CANNOT_LOOK:
            raise
        return None
    try:
        return os.read(fd, 4096)
    except OSError:  # it went between open and read
        return None
    finally:
        os.close(fd)


def _parse_stat(line: bytes) -> ProcessFacts:
    # The name may hold blanks and brackets: fields are counted from its last closing one.
    head, _, tail = line.rpartition(b")")
    pid, _, name = head.partition(b" (")
    field = tail.split()
    return ProcessFacts(
        pid=int(pid),
        ppid=int(field[1]),
        group=int(field[2]),
        session=int(field[3]),
        state=field[0].decode(),
        start_time=int(field[19]),
        cpu_ticks=int(field[11]) + int(field[12]),
        rss_pages=int(field[21]),
        name=name.decode("utf-8", "replace"),
    )


def start_time(pid: int) -> int | None:
    """When the process started, in ticks since boot; None where there is none."""
    line = _stat(pid)
    return None if line is None else int(line[line.rindex(b")") + 2 :].split(None, 20)[19])


def is_alive(pid: int, started: int | None = None) -> bool:
    """Whether it runs: not gone, not a zombie, and (where started is given) no later process with its pid."""
    found = facts(pid)
    return found is not None and found.state not in DEAD_STATES and (started is None or found.start_time == started)


def processes() -> Iterator[ProcessFacts]:
    """Every process of the machine, zombies and the kernel's own threads left out, in one pass."""
    # A third of what an idle machine runs are children of kthreadd; none of them is anybody's, and looking costs 10 us.
    kernels = set(children(_KTHREADD)) if _comm(_KTHREADD) == b"kthreadd\n" else set[int]()
    for name in os.listdir("/proc"):
        if name[0] in "123456789" and int(name) not in kernels:
            found = facts(int(name))
            if found is not None and found.state not in DEAD_STATES:
                yield found


def _comm(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read()
    except OSError:
        return b""


def children(pid: int) -> list[int]:
    """The pids of its children, zombies too. While some come and go others may be missing: look again."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
        except OSError:  # that thread has ended, or a kernel without CONFIG_PROC_CHILDREN
            continue
    return found


def adopted(file: int = -1) -> list[int]:
    """The pids of what came to this process as a subreaper, zombies too, among those of its own children.

    The kernel gives orphans to the first thread, so this is one file where children() reads one for each thread.
    file: see open_adopted; else it is opened and closed. Raises OSError where there are no descriptors left for that.
    """
    try:
        fd = open_adopted() if file < 0 else file
    except OSError as error:  # a kernel without CONFIG_PROC_CHILDREN
        if error.errno in _CANNOT_LOOK:
            raise
        return []
    try:
        found = os.pread(fd, 4096, 0)
        while chunk := os.pread(fd, 65536, len(found)) if len(found) >= 4000 else b"":
            found += chunk
    except OSError:
        return []
    finally:
        if file < 0:
            os.close(fd)
    return list(map(int, found.split()))


def open_adopted() -> int:
    """What adopted() reads, to be kept by who asks often; not over a fork. Raises OSError."""
    pid = os.getpid()
    return os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)


def environ_value(pid: int, key: str) -> str | None:
    """One variable of the environment that the process was started with.

    None where it has none, is a zombie, or may not be looked at. Raises OSError where there are no descriptors left.
    """
    block = _environ(pid)
    if block is None:
        return None
    mark = key.encode() + b"="
    start = 0 if block.startswith(mark) else block.find(b"\0" + mark) + 1
    if start == 0 and not block.startswith(mark):
        return None
    return block[start + len(mark) :].partition(b"\0")[0].decode("utf-8", "replace")


def environment(pid: int) -> dict[str, str] | None:
    """The environment that the process was started with; None where it may not be looked at, or there is none."""
    block = _environ(pid)
    if not block:
        return None
    pairs = (entry.decode("utf-8", "replace").partition("=") for entry in block.split(b"\0") if b"=" in entry)
    return {name: value for name, _, value in pairs}


def _environ(pid: int) -> bytes | None:
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _CANNOT_LOOK:
            raise
        return None
    block = b""
    try:
        while chunk := os.read(fd, 65536):
            block += chunk
    except OSError:
        return None
    finally:
        os.close(fd)
    return block


def command_line(pid: int) -> list[str]:
    """Its arguments; the kernel's name in brackets where it has none; [] where it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            block = file.read()
    except OSError:
        return []
    if not block:
        found = facts(pid)
        return [f"[{found.name}]"] if found else []
    return [part.decode("utf-8", "replace") for part in block.rstrip(b"\0").split(b"\0")]


def signal_process(pid: int, started: int, number: int) -> bool:
    """Signal exactly that process; False where it is gone. Raises PermissionError.

    Through a pidfd, so that a pid that was used again is never hit; without pidfds the start time is compared first.
    """
    if not has_pidfd():
        if not is_alive(pid, started):
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True
    try:
        fd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            return False
        raise
    try:
        if not is_alive(pid, started):  # compared after the open: from here on the fd is that process
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def age(started: int) -> float:
    """Seconds since a start time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / TICKS_PER_SECOND


def ticks() -> int | None:
    """The start time that a process has which starts now; None where the clock cannot tell."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * TICKS_PER_SECOND // 1_000_000_000


def has_children() -> bool:
    """Whether this process has any children, zombies too; much cheaper than asking which."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def set_subreaper(on: bool) -> bool:
    """Make orphaned descendants come to this process; False where the kernel cannot."""
    if features.probed.get("subreaper") is None:
        features.has("subreaper", lambda: _prctl(_PR_SET_CHILD_SUBREAPER, int(on)))
    return features.probed["subreaper"] and _prctl(_PR_SET_CHILD_SUBREAPER, int(on))


def is_subreaper() -> bool:
    """Whether orphaned descendants come to this process."""
    import ctypes  # noqa: PLC0415

    answer = ctypes.c_int(0)
    asked = (_prctl_function or _prctl_call())(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(asked == 0 and answer.value)


def _prctl(option: int, value: int) -> bool:
    return bool((_prctl_function or _prctl_call())(option, value, 0, 0, 0) == 0)


def _prctl_call() -> Any:
    global _prctl_function  # noqa: PLW0603 - looked up once: it is called with every first and last child
    if _prctl_function is None:
        import ctypes  # noqa: PLC0415 - 8 ms, paid only by those who need it

        _prctl_function = ctypes.CDLL(None, use_errno=True).prctl
    return _prctl_function


def start_scheduled(nice: int | None, affinity: tuple[int, ...] | None, start: Callable[[], int]) -> int:
    """Call start, which forks, with this priority and these CPUs, and return what it returns: the pid.

    On Linux both belong to a thread and are inherited by what it forks, so a thread that lives for this one call
    takes them on; nothing of ours changes, and no moment of the child is without them. Raises OSError.
    """
    import threading  # noqa: PLC0415

    outcome: list[int | BaseException] = []

    def call() -> None:
        try:
            if affinity is not None:
                os.sched_setaffinity(0, affinity)
            if nice is not None:
                os.setpriority(os.PRIO_PROCESS, 0, nice)
            outcome.append(start())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=call, name="rookery-start")
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def peer(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of who connected to a Unix socket."""
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return pid, uid, gid
