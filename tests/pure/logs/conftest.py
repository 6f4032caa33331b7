import errno
import os

import pytest

from rookery.logs.intake import Scratch
from rookery.logs.rules import Rules
from rookery.logs.writer import LogFile


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class FakeDisk:
    """os.write with so many bytes left; None: endless."""

    def __init__(self):
        self.left = None
        self.error = errno.ENOSPC

    def write(self, fd, view):
        if self.left is None:
            return os.write(fd, view)
        if not self.left:
            raise OSError(self.error, os.strerror(self.error))
        written = os.write(fd, view[: self.left])
        self.left -= written
        return written


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def disk():
    return FakeDisk()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "web.log")


@pytest.fixture
def make_log(path, clock, disk):
    made = []

    def make(*, max_size=0, keep=7, path=path, **options):
        rules = Rules(max_size, keep, rotate=options.pop("rotate", "never"), blocks=options.pop("blocks", False))
        made.append(LogFile(path, rules, write=disk.write, clock=clock, **options))
        return made[-1]

    yield make
    for log in made:
        log.close()


@pytest.fixture(params=["tee", "hold"])
def scratch(request, monkeypatch):
    """With and without a way to look into a pipe."""
    if request.param == "hold":
        monkeypatch.setattr("rookery.logs.intake.tee_call", lambda: None)
    scratch = Scratch()
    assert scratch.can_peek == (request.param == "tee")
    yield scratch
    scratch.close()
