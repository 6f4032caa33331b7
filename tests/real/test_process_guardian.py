"""What a library process started does not outlive it, however it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rookery import spawn
from rookery._os import kernel
from rookery.process.guard import GUARD, Guard
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]
PROGRAM = Path(__file__).parent / "programs" / "has_children.py"


class Library:
    """A process that uses the library, and what it says of its children: (pid, start time)."""

    def __init__(self, kind):
        self._hold, hold = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, kind], stdin=self._hold, stdout=subprocess.PIPE, text=True
        )
        self._release = hold
        self.children = []
        self.guardian = self.copy = None
        while self.guardian is None:
            words = self.process.stdout.readline().split()
            assert words, "it has ended"
            if words[0] == "guardian":
                self.guardian = None if words[1] == "None" else self._identity(words[1])
                break
            if words[0] == "copy":
                self.copy = self._identity(words[1])
            else:
                self.children.append(self._identity(words[0]))

    @staticmethod
    def _identity(text):
        return int(text), kernel.start_time(int(text))

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(20)

    def close(self):
        os.close(self._hold)
        os.close(self._release)
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
        for pid, started in [*self.children, self.guardian or (0, 0), self.copy or (0, 0)]:
            if pid:
                kernel.signal_process(pid, started, signal.SIGKILL)


@pytest.fixture
def library():
    made = []

    def make(kind):
        made.append(Library(kind))
        return made[-1]

    yield make
    for one in made:
        one.close()
    wait_until(_nothing_left, what="the end of all that came to us")


def _nothing_left():
    """We are the subreaper: what lost its parent came here."""
    for pid in kernel.children(os.getpid()):
        found = kernel.facts(pid)
        if found is not None and found.state == "Z" and pid != GUARD.pid:
            os.waitpid(pid, os.WNOHANG)
    return not [pid for pid in kernel.children(os.getpid()) if pid != GUARD.pid]


def alive(identities):
    return [pid for pid, started in identities if kernel.is_alive(pid, started)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
@pytest.mark.parametrize("kind", ["spawn", "run"])
def test_no_child_no_grandchild_and_no_runaway_outlives_it(library, kind, number):
    one = library(kind)
    assert len(alive(one.children)) == 3
    one.end(number)
    wait_until(lambda: alive(one.children) == [], what="the end of the children")
    wait_until(lambda: alive([one.guardian]) == [], what="the end of the guardian")


def test_a_forked_copy_does_not_hold_the_guardian_back(library):
    one = library("fork")
    one.end(signal.SIGKILL)
    wait_until(lambda: alive(one.children) == [], what="the end of the children")
    assert alive([one.copy]) == [one.copy[0]]


def test_a_short_run_starts_none(library):
    assert library("quiet").guardian is None


def test_a_detached_child_lives_on(library):
    one = library("detached")
    *detached, guarded = one.children
    one.end(signal.SIGKILL)
    wait_until(lambda: alive([guarded]) == [], what="the end of the child that is not detached")
    wait_until(lambda: alive([one.guardian]) == [], what="the end of the guardian")
    assert len(alive(detached)) == 3


def test_the_guardian_is_deaf_to_what_ends_others(library):
    one = library("spawn")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(one.guardian[0], number)
    one.end(signal.SIGKILL)
    wait_until(lambda: alive(one.children) == [], what="the end of the children")


async def test_one_guardian_for_all_and_another_when_it_is_killed():
    async with spawn("sleep", "1000") as first:
        guardian = GUARD.pid
        async with spawn("sleep", "1000"):
            assert GUARD.pid == guardian
        os.kill(guardian, signal.SIGKILL)
        wait_until(lambda: kernel.facts(guardian).state == "Z", what="the end of the guardian")
        async with spawn("sleep", "1000"):
            assert GUARD.pid != guardian
            assert kernel.is_alive(GUARD.pid)
            while (first.pid, first.start_time) not in GUARD._known:  # noqa: ASYNC110 - told once it has lived a while
                await asyncio.sleep(0.01)
        assert first.is_running
    assert GUARD._known == {}


def test_without_processes_to_be_had_children_go_on_unguarded(monkeypatch):
    from rookery import errors
    from rookery.process import guard

    def none(*_, **__):
        raise errors.ResourcesExhausted("no more processes")

    monkeypatch.setattr(guard, "spawn_process", none)
    one = Guard()
    one.watch(1, 1, "x")
    assert (one.pid, one.fd) == (None, -1)
