"""Rotated files compressed by a process of its own, while rotation goes on."""

import gzip
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import features, kernel
from rookery.logs import pack
from rookery.logs.pack import MOST_WANTED, Packer, temporary
from rookery.logs.rotation import chain, rotated, shift
from rookery.testing import wait_until

pytestmark = pytest.mark.real


@pytest.fixture(params=["pidfd", "no pidfd"], autouse=True)
def way(request, monkeypatch):
    if request.param == "no pidfd":
        monkeypatch.setenv(features.WITHOUT, "pidfd")
    features.forget()
    yield
    monkeypatch.undo()
    features.forget()


@pytest.fixture
def packer():
    one = Packer()
    yield one
    one.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "web-0.out.log")


def fill(path, number, size=300_000):
    """A rotated file of recognizable lines; its content."""
    content = b"".join(b"%d %d %s\n" % (number, line, b"." * (line % 90)) for line in range(size // 60))
    name = rotated(path, number)
    Path(name).write_bytes(content)
    os.chmod(name, 0o640)
    os.utime(name, ns=(1_000_000_000, 1_700_000_000_123_456_789))
    return content


def wait_exit(packer):
    """Wait as the collector's loop does, until the process under way has ended."""
    poll = select.poll()
    poll.register(packer.fileno(), select.POLLIN)
    assert poll.poll(DEADLINE * 1000), "the process does not end"


def settle(packer):
    while packer.fileno() >= 0:
        wait_exit(packer)
        packer.on_exit()


def names(path):
    folder = Path(path).parent
    return sorted(one.name.removeprefix(Path(path).name) for one in folder.iterdir())


def stop_job(packer):
    """Hold the process that is under way; its pid."""
    pid = packer._job._pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: kernel.facts(pid).state == "T", DEADLINE, "the process is stopped")
    return pid


def test_files_from_the_second_on_are_packed_with_all_that_they_were(packer, path):
    contents = {number: fill(path, number) for number in range(4)}
    plain = {part.number: part for part in chain(path)}
    packer.want(path)
    settle(packer)
    assert names(path) == ["", ".1", ".2.gz", ".3.gz"]
    for part in chain(path):
        data = Path(part.name).read_bytes()
        assert (gzip.decompress(data) if part.is_packed else data) == contents[part.number]
        assert part.identity == plain[part.number].identity
        assert part.mtime_ns == plain[part.number].mtime_ns
        assert os.stat(part.name).st_mode & 0o777 == 0o640
        assert part.is_packed == (part.size < plain[part.number].size / 3)


def test_logs_are_packed_one_after_the_other(packer, path):
    paths = [f"{path}{number}" for number in range(5)]
    for one in paths:
        fill(one, 2, 1000)
    before = set(kernel.children(os.getpid()))
    for one in paths:
        packer.want(one)
        packer.want(one)
        assert len(set(kernel.children(os.getpid())) - before) == 1
    settle(packer)
    assert all(os.path.exists(rotated(one, 2) + ".gz") and not os.path.exists(rotated(one, 2)) for one in paths)


def test_a_rotation_during_packing_moves_the_name(packer, path):
    contents = {number: fill(path, number) for number in range(3)}
    packer.want(path)
    pid = stop_job(packer)
    shift(path, 5)
    fill(path, 0)
    shift(path, 5)
    os.kill(pid, signal.SIGCONT)
    wait_exit(packer)
    packer.on_exit()
    assert ".4.gz" in names(path)
    settle(packer)
    assert names(path) == [".1", ".2.gz", ".3.gz", ".4.gz"]
    assert gzip.decompress(Path(path + ".4.gz").read_bytes()) == contents[2]
    assert gzip.decompress(Path(path + ".3.gz").read_bytes()) == contents[1]


def test_what_was_rotated_away_during_packing_stays_away(packer, path):
    for number in range(3):
        fill(path, number)
    packer.want(path)
    pid = stop_job(packer)
    shift(path, 2)
    os.kill(pid, signal.SIGCONT)
    wait_exit(packer)
    os.unlink(rotated(path, 2))
    packer.on_exit()
    settle(packer)
    assert names(path) == [".1"]


def test_a_file_that_grows_after_it_was_read_stays_plain(packer, path, capfd):
    content = fill(path, 2)
    packer.want(path)
    wait_exit(packer)
    with open(rotated(path, 2), "ab") as file:
        file.write(b"late\n")
    packer.on_exit()
    assert packer.fileno() == -1
    assert names(path) == [".2"]
    packer.want(path)
    settle(packer)
    assert gzip.decompress(Path(path + ".2.gz").read_bytes()) == content + b"late\n"
    assert capfd.readouterr().err == ""


def test_a_killed_process_is_told_once_and_the_file_is_packed_next_time(packer, path, capfd):
    content = fill(path, 2)
    for _ in range(2):
        packer.want(path)
        os.kill(stop_job(packer), signal.SIGKILL)
        settle(packer)
        assert names(path) == [".2"]
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith(f"rookery-collector: {path}: a rotated file cannot be compressed")
    assert told[0].endswith("its process was ended by signal 9")
    packer.want(path)
    settle(packer)
    assert gzip.decompress(Path(path + ".2.gz").read_bytes()) == content


def test_a_disk_that_takes_no_more_leaves_the_plain_file(packer, path, capfd):
    content = fill(path, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        packer.want(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    settle(packer)
    assert names(path) == [".2"]
    assert Path(rotated(path, 2)).read_bytes() == content
    assert capfd.readouterr().err.endswith("it stays as it is: File too large\n")


def test_a_process_that_cannot_be_started_or_read_is_told(packer, path, capfd, monkeypatch):
    fill(path, 2)
    monkeypatch.setattr(pack.sys, "executable", "/nowhere/python")
    packer.want(path)
    assert packer.fileno() == -1
    assert names(path) == [".2"]
    assert "no such command" in capfd.readouterr().err
    monkeypatch.undo()
    os.rename(rotated(path, 2), path + ".real")
    os.symlink(path + ".real", rotated(path, 2))
    one = Packer()
    one.want(path)
    assert "symbolic links" in capfd.readouterr().err
    assert names(path) == [".2", ".real"]


def test_close_ends_the_process_and_leaves_nothing(packer, path):
    fill(path, 2)
    packer.want(path)
    pid = stop_job(packer)
    packer.close()
    assert kernel.facts(pid) is None
    assert names(path) == [".2"]
    assert packer.fileno() == -1
    packer.on_exit()


def test_what_a_killed_collector_has_left_is_redone(packer, path):
    content = fill(path, 2)
    Path(temporary(path)).write_bytes(b"half")
    packer.want(path)
    settle(packer)
    assert names(path) == [".2.gz"]
    assert gzip.decompress(Path(path + ".2.gz").read_bytes()) == content
    Path(temporary(path)).write_bytes(b"half")
    packer.want(path)
    assert names(path) == [".2.gz"]


def test_so_many_logs_wait_at_most(packer, path):
    fill(path, 2)
    packer.want(path)
    pid = stop_job(packer)
    for number in range(MOST_WANTED + 100):
        packer.want(f"{path}.{number}.log")
    assert len(packer._wanted) == MOST_WANTED
    os.kill(pid, signal.SIGCONT)
    settle(packer)
    assert not packer._wanted


@needs_linux
def test_the_process_takes_only_what_nobody_else_wants(tmp_path):
    code = (
        "import os; from rookery.logs import packing as p; p._give_way(); "
        "print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert ran.stdout.split() == ["19", "True"]
