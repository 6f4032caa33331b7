"""The one way to replace a file: whoever reads it finds the old content or the new one, after a crash too."""

from __future__ import annotations

import os


def replace(path: str, data: bytes, *, mode: int = 0o600, keep_backup: bool = False) -> None:
    """Replace the file whole, and return when it is on disk. One writer at a time: it is written as ``path.new`` first.

    keep_backup: the file of before becomes ``path.bak``. Raises OSError; the file is as before then.
    """
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)  # whatever the umask, and whoever left one behind
            file.write(data)
            file.flush()
            os.fsync(fd)
        if keep_backup:
            _keep(path)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)  # on a full disk every byte counts
        raise
    _sync_folder(os.path.dirname(path) or ".")


def _keep(path: str) -> None:
    backup = f"{path}.bak"
    try:
        os.link(path, f"{backup}.new")
        os.replace(f"{backup}.new", backup)
    except FileExistsError:
        os.unlink(f"{backup}.new")
    except OSError:  # the first write, or a file system without links
        pass


def _sync_folder(folder: str) -> None:
    """The new name is on disk too. Some file systems cannot; there it comes when it comes."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # a folder that may be written but not read
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)
