"""Shared arrays among programs that know nothing of each other: by name, by pickle, by descriptor; and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from forked import Forked

from capabilities import DEADLINE, needs_linux
from rookery import SharedArray, StateFile
from rookery._os import features, kernel
from rookery.errors import LockTimeout, SharedMemoryError
from rookery.ipc import shared_names
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

NAME = f"test-{os.getpid()}"
MAKE = f"""
import sys
from rookery import SharedArray
array = SharedArray("int64", 1000, name={NAME!r})
array[5] = 55
print("made", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["", "memfd"])
def environ(request, monkeypatch):
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield os.environ
    features.forget()


def program(code, *args, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def entries():
    """What is in the folder of names that is ours."""
    try:
        names = os.listdir(shared_names.folder())
    except FileNotFoundError:
        return []
    return [name for name in names if NAME in name]


@pytest.mark.parametrize("end", ["closes", "is killed"])
def test_a_name_lives_as_long_as_its_maker(environ, end):
    with program(MAKE) as maker:
        assert maker.stdout.readline() == "made\n"
        array = SharedArray.attach(NAME)
        assert array[5] == 55
        if end == "is killed":
            maker.kill()
        out, err = maker.communicate(timeout=DEADLINE)
    assert (out, err) == ("", "")  # nobody has anything to say about it
    with pytest.raises(SharedMemoryError, match="no shared array named"):
        SharedArray.attach(NAME)
    assert entries() == []
    array.atomics.add(5, 1)  # what one has, one has
    assert array[5] == 56
    array.close()


def test_a_name_whose_maker_was_killed_is_free_again(environ):
    with program(MAKE) as maker:
        assert maker.stdout.readline() == "made\n"
        maker.kill()
    with SharedArray("uint8", 5, name=NAME) as array:
        assert array[0] == 0
        assert [len(SharedArray.attach(NAME)) for _ in range(3)] == [5] * 3
    assert entries() == []


def test_nobody_else_has_the_name():
    with program(MAKE) as maker:
        assert maker.stdout.readline() == "made\n"
        with pytest.raises(SharedMemoryError, match=f"process {maker.pid} made it"):
            SharedArray("uint8", 5, name=NAME)
        maker.communicate(timeout=DEADLINE)


def test_a_child_by_fork_has_it_but_not_the_name(environ):
    with SharedArray("int32", 3, name=NAME) as array:

        def work():
            array[0] = 1
            array.atomics.add(0, 1)
            with SharedArray.attach(NAME) as other:
                other.atomics.add(0, 1)
            array.close()

        assert Forked(work).join() == 0
        assert array[0] == 3
        assert SharedArray.attach(NAME)[0] == 3
    assert entries() == []


def test_by_descriptor_to_another_program():
    code = """
import sys
from rookery import SharedArray
with SharedArray.from_fd(int(sys.argv[1])) as array:
    array.atomics.add(1, 41)
"""
    with SharedArray("int32", 3) as array:
        array[1] = 1
        with program(code, str(array.fileno()), pass_fds=[array.fileno()]) as other:
            assert other.communicate(timeout=DEADLINE) == ("", "")
        assert (other.returncode, array[1]) == (0, 42)


def test_the_memory_goes_with_the_last_one():
    """No file, no tracker, nothing left: seen from outside."""
    code = """
import os, sys
from rookery import SharedArray
array = SharedArray("uint8", 50_000_000)
array[0:50_000_000:4096] = bytes(len(range(0, 50_000_000, 4096)))
print(*os.listdir("/dev/shm"), flush=True)
sys.stdin.read()
"""
    with program(code) as maker:
        assert NAME not in maker.stdout.readline()
        assert kernel.children(maker.pid) == []
        shared = _shared_kilobytes()
        maker.send_signal(signal.SIGKILL)
        assert maker.communicate(timeout=DEADLINE) == ("", "")
        assert _shared_kilobytes() < shared - 40_000
    assert maker.returncode == -signal.SIGKILL


def _shared_kilobytes():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Shmem:"))


def test_many_processes_update_one_file(tmp_path):
    file = StateFile(tmp_path / "state.json", default={})

    def work(name):
        for _ in range(15):
            file.update(lambda value: value | {name: value.get(name, 0) + 1})

    children = [Forked(lambda name=name: work(name)) for name in "abcd"]
    assert [child.join() for child in children] == [0] * 4
    assert file.read() == dict.fromkeys("abcd", 15)


def test_a_killed_writer_leaves_the_file_whole_and_the_lock_free(tmp_path):
    file = StateFile(tmp_path / "state.json")
    file.write("old")

    def work():
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGSTOP)  # everything but the last step is done
        file.write("new")

    with Forked(work) as writer:
        wait_until(lambda: (found := kernel.facts(writer.pid)) and found.state == "T", DEADLINE, "the last step")
        assert file.read() == "old"
        with pytest.raises(LockTimeout), file.lock(timeout=0.05):
            pass
        writer.kill()
    assert file.update(lambda value: value + "er") == "older"
    assert sorted(os.listdir(tmp_path)) == ["state.json", "state.json.lock"]


def test_readers_never_see_half(tmp_path):
    file = StateFile(tmp_path / "state.json")
    file.write([0] * 5000)

    def work():
        for number in range(60):
            file.write([number] * 5000)

    with Forked(work) as writer:
        seen = 0
        while not writer.has_ended():
            assert len(set(file.read())) == 1
            seen += 1
        assert (writer.join(), seen > 0) == (0, True)
