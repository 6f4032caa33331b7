"""What the machine tells about itself, also where it tells nothing."""

from __future__ import annotations

import os
import resource

import pytest

from capabilities import needs_linux
from rookery._os import machine


@pytest.fixture
def files(monkeypatch):
    """Paths and what is in them; nothing else is there."""
    found = {}
    monkeypatch.setattr(machine, "_read", lambda path: found.get(path, ""))
    return found


def test_cpus_by_affinity_and_quota(files, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert machine.cpus() == 4
    files[f"/proc/{os.getpid()}/cgroup"] = "0::/a/b\n"
    files["/sys/fs/cgroup/a/b/cpu.max"] = "max 100000\n"
    assert machine.cpus() == 4
    files["/sys/fs/cgroup/a/cpu.max"] = "150000 100000\n"  # the limit of a group above counts too
    assert machine.cpus() == 1.5


def test_memory_of_the_machine_and_of_the_cgroup(files):
    assert machine.memory() is None
    files["/proc/meminfo"] = "MemTotal:  1000 kB\nMemAvailable:  400 kB\nHugePages_Total:   0\nOdd:\n"
    assert machine.memory() == (1000 * 1024, 400 * 1024)
    files[f"/proc/{os.getpid()}/cgroup"] = "0::/\n"
    files["/sys/fs/cgroup/memory.max"] = "102400\n"
    files["/sys/fs/cgroup/memory.current"] = "2400\n"
    assert machine.memory() == (102400, 100000)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/user.slice\n", "/user.slice"),
        ("12:cpu:/x\n1:name=systemd:/system.slice/a.service\n", "/system.slice/a.service"),
        ("12:cpu:/x\n", None),
        ("", None),
    ],
)
def test_cgroup(files, text, path):
    files["/proc/5/cgroup"] = text
    assert machine.cgroup(5) == path


def test_limits_of_a_process(files):
    assert machine.open_files(5) is None
    head = "Limit                     Soft Limit           Hard Limit           Units\n"
    files["/proc/5/limits"] = head + "Max open files            1024                 unlimited            files\n"
    assert machine.open_files(5) == (1024, 2**63)


@needs_linux
def test_our_own_limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert machine.open_files(os.getpid()) == (soft, hard)
    assert machine.count_open_files(os.getpid()) >= 3
    assert machine.count_open_files(2**22 + 1) is None


def test_disk(tmp_path):
    total, free = machine.disk(str(tmp_path))
    assert 0 <= free <= total
    assert machine.disk(str(tmp_path / "none")) is None


def test_units_that_mention_a_program(tmp_path):
    (tmp_path / "a.service").write_text("[Service]\nExecStart=/usr/bin/rook start all\n")
    (tmp_path / "b.service").write_text("[Service]\n# rook\nExecStart=/usr/bin/rookery-like\n")
    (tmp_path / "c.timer").write_text("ExecStart=rook\n")
    folders = [str(tmp_path / "none"), str(tmp_path)]
    assert machine.units_that_mention("rook", folders) == [str(tmp_path / "a.service")]
