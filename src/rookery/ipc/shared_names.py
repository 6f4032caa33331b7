"""Names of shared arrays: a folder of small files that say where each one is.

``/dev/shm/rookery-UID`` (else the same below the folder for temporary files), 0700, its files 0600. A name belongs to
the process that made it. What a killed process left is swept away whenever anybody touches the folder; that is a few
dozen bytes, the memory itself is freed by the kernel.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
import threading
from typing import TYPE_CHECKING

from rookery._os import kernel
from rookery.errors import SharedMemoryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DATA = ".data-"
_TRIES = 100


class _Inside(threading.local):
    place = ""


_inside = _Inside()


def folder() -> str:
    """Where the names of this user are kept."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else tempfile.gettempdir()
    return os.path.join(base, f"rookery-{os.geteuid()}")


def check(name: object) -> None:
    """Raises UsageError for what cannot be a name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a shared array",
            hint="use up to 100 letters, digits, dots, dashes and underscores, the first one a letter or digit",
        )


def claim(name: str, address: Sequence[int | str]) -> None:
    """Make an address known by a name. Raises SharedMemoryError where somebody has it."""
    with _locked() as place:
        _sweep(place)
        path = os.path.join(place, name)
        fresh = f"{place}/.new"  # only who holds the lock writes it
        if os.path.lexists(path):
            raise SharedMemoryError(
                f"there is a shared array named {name} already",
                why=f"process {_read(path)[0]} made it",
                hint=f"attach to it with SharedArray.attach({name!r}), or choose another name",
            )
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w") as file:
            json.dump(list(address), file)
        os.replace(fresh, path)


def find(name: str) -> list[int | str]:
    """The address behind a name. Raises SharedMemoryError where there is none."""
    with _locked() as place:
        _sweep(place)
        try:
            return _read(os.path.join(place, name))
        except (OSError, ValueError) as error:
            raise SharedMemoryError(
                f"there is no shared array named {name}",
                why="nobody made it, or its maker has closed it or ended",
                hint="keep the process that makes it alive for as long as others attach",
            ) from error


def release(name: str, address: Sequence[int | str], path: str) -> None:
    """Forget a name, if it still stands for that address, and the data file at path, if any. Raises nothing."""
    with contextlib.suppress(OSError, SharedMemoryError), _locked() as place:
        if name:
            with contextlib.suppress(OSError, ValueError):
                if _read(os.path.join(place, name)) == list(address):
                    os.unlink(os.path.join(place, name))
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        _sweep(place)


def data_path() -> str:
    """A new empty file for a segment which must be one; its name tells a sweep whose it is."""
    pid = os.getpid()
    with _locked() as place:
        _sweep(place)
        path = os.path.join(place, f"{_DATA}{pid}-{kernel.start_time(pid)}-{os.urandom(8).hex()}")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return path


@contextlib.contextmanager
def _locked() -> Iterator[str]:
    if _inside.place:  # a finaliser that came in the middle of another call of this thread
        yield _inside.place
        return
    place = folder()
    for _ in range(_TRIES):
        fd = _open_folder(place)
        if fd < 0:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is_still(place, fd):
                continue
            _inside.place = place
            try:
                yield place
            finally:
                _inside.place = ""
                with contextlib.suppress(OSError):
                    os.rmdir(place)  # fails where there is anything in it
            return
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a fork of this moment has the same description
            os.close(fd)
    raise _strange(place, "it comes and goes")


def _open_folder(place: str) -> int:
    """The folder, made where it is missing; -1 if somebody removed it in this moment. Raises SharedMemoryError."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(place, 0o700)
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise _strange(place, str(error)) from error


def _is_still(place: str, fd: int) -> bool:
    """Whether what is open is what has the name, and ours alone. Raises SharedMemoryError."""
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise _strange(place, f"owner uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}")
    try:
        return os.path.samestat(os.lstat(place), found)
    except FileNotFoundError:
        return False


def _strange(place: str, why: str) -> SharedMemoryError:
    return SharedMemoryError(f"{place} is no folder of ours", why=why, hint="remove it")


def _sweep(place: str) -> None:
    """Remove what belongs to processes that are gone."""
    for entry in os.listdir(place):
        path = os.path.join(place, entry)
        try:
            if entry.startswith(_DATA):
                owner = [int(number) for number in entry.removeprefix(_DATA).split("-")[:2]]
            else:
                owner = [int(number) for number in _read(path)[:2]]
            is_stale = not kernel.is_alive(*owner)
        except (OSError, ValueError):  # half a file of someone who was killed: the lock is ours, so nobody writes it
            is_stale = True
        if is_stale:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _read(path: str) -> list[int | str]:
    """Raises OSError, ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd) as file:
        found = json.load(file)
    if not (isinstance(found, list) and [type(part) for part in found] == [int] * 5 + [str]):
        raise ValueError("no address")
    return found
