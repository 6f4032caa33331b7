"""The keeper's places: the lock of a home, its scope, its run folder."""

from __future__ import annotations

import fcntl
import os
import stat
from collections import namedtuple

from rookery import errors
from rookery._base.ids import new_scope

TYPE_CHECKING = False
_PRIVATE = 0o700
_SCOPE_LENGTH = 8


if TYPE_CHECKING:
    from typing import NamedTuple

    class Home(NamedTuple):
        """A home's path, its scope, and the folder of its sockets."""

        path: str
        scope: str
        run_folder: str
else:
    Home = namedtuple("Home", "path scope run_folder")  # noqa: PYI024 - typing costs the keeper 5 ms


def open_home(path: str) -> Home:
    """The home at path, its scope and run folder made where they are missing. Raises RookeryError, OSError."""
    scope = read_scope(path)
    return Home(path, scope, make_run_folder(path, scope))


def take_lock(home: str) -> int:
    """The descriptor that makes this process (and whom it is passed to) the one keeper of home; -1 if it is taken."""
    fd = os.open(os.path.join(home, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd


def holds_lock(home: str, lock: int) -> bool:
    """Whether the lock that is held is still the home's: not so where the home was removed or made anew."""
    try:
        return os.path.samestat(os.stat(os.path.join(home, "lock")), os.fstat(lock))
    except OSError:
        return False


def read_scope(home: str) -> str:
    """The home's scope, made on first use."""
    path = os.path.join(home, "scope")
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            scope = file.read().strip()
    except FileNotFoundError:
        scope = ""
    if len(scope) == _SCOPE_LENGTH and not scope.strip("0123456789abcdef"):
        return scope
    scope = new_scope()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w") as file:
        file.write(scope + "\n")
    return scope


def _runtime_folder() -> str:
    """/run for root, else $XDG_RUNTIME_DIR; "" where there is none (a relative one counts for nothing)."""
    if os.geteuid() == 0:
        return "/run"
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return base if os.path.isabs(base) else ""


def make_run_folder(home: str, scope: str) -> str:
    """The folder of the sockets; ``home/run`` leads to it from wherever a caller looks.

    In $XDG_RUNTIME_DIR, or /run for root, else (and where those cannot be written) in the home itself.
    """
    base = _runtime_folder()
    link = os.path.join(home, "run")
    if base:
        run = os.path.join(base, "rookery", scope)
        try:
            os.makedirs(os.path.dirname(run), exist_ok=True)
            os.chmod(os.path.dirname(run), 0o755)  # whatever the umask: apps of other users pass through
            os.makedirs(run, mode=_PRIVATE, exist_ok=True)
            _check_owner(run)
            os.chmod(run, 0o711)
            _point(link, run)
        except OSError:
            pass
        else:
            return run
    if os.path.islink(link):
        os.unlink(link)
    os.makedirs(link, mode=_PRIVATE, exist_ok=True)
    _check_owner(link)
    os.chmod(link, 0o711)
    return link


def _check_owner(folder: str) -> None:
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise errors.RookeryError(
            f"{folder} is not a folder of ours",
            why=f"owned by uid {found.st_uid}",
            hint="remove it, or choose another home",
        )


def _point(link: str, run: str) -> None:
    if os.path.islink(link) and os.readlink(link) == run:
        return
    if os.path.isdir(link) and not os.path.islink(link):
        for name in os.listdir(link):  # left by an earlier keeper that had no runtime folder, and was killed
            os.unlink(os.path.join(link, name))
        os.rmdir(link)
    fresh = f"{link}.new"
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(run, fresh)
    os.replace(fresh, link)


def remove_run_folder(home: str, run: str) -> None:
    """Leave nothing behind in the run folder; what cannot be removed stays."""
    try:
        for folder in (os.path.join(run, "n"), run):
            if os.path.isdir(folder):
                for name in os.listdir(folder):  # sockets, and a pipe whose maker was killed before its name was gone
                    os.unlink(os.path.join(folder, name))
                os.rmdir(folder)
        link = os.path.join(home, "run")
        if os.path.islink(link):
            os.unlink(link)
    except OSError:
        return
