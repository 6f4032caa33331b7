"""A keeper watches what another one started."""

from __future__ import annotations

import os
import subprocess

import pytest

from capabilities import needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = needs_linux


@pytest.fixture
def stranger():
    """A process that the keeper did not start; it ends with its stdin, with code 7."""
    process = subprocess.Popen(["/bin/sh", "-c", "read line; exit 7"], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


def adopt(client, pid, start_time, fds=(), generation=3):
    return client.ask("adopt", fds, key="4", generation=generation, pid=pid, start_time=start_time, started_at=1000.5)[
        "child"
    ]


def settled(keeper, child):
    def look():
        keeper.turn()
        for one in keeper.children.settle():
            keeper.keeper.ended(one)
        return keeper.children.get(child["key"], child["generation"]).ended_at

    wait_until(look, 20, "the end of the adopted one")
    return keeper.children.get(child["key"], child["generation"])


@pytest.mark.parametrize("brings_pidfd", [True, False])
def test_its_end_is_told_with_its_code(keeper, connect, stranger, brings_pidfd):
    client = connect()
    client.ask("lease", after=0)
    pidfd = os.pidfd_open(stranger.pid)
    child = adopt(client, stranger.pid, kernel.start_time(stranger.pid), [pidfd] if brings_pidfd else [])
    os.close(pidfd)
    assert (child["pid"], child["ended_at"], child["started_at"]) == (stranger.pid, None, 1000.5)
    assert [one["pid"] for one in client.ask("list")["children"]] == [stranger.pid]
    stranger.stdin.close()
    assert settled(keeper, child).returncode == 7  # read from the zombie: nobody has reaped it yet
    event = client.receive()
    assert (event["event"], event["child"]["returncode"]) == ("exit", 7)


def test_a_pid_that_was_used_again_has_ended(keeper, connect, stranger):
    client = connect()
    client.ask("lease", after=0)
    child = adopt(client, stranger.pid, kernel.start_time(stranger.pid) - 1)
    assert child["ended_at"] is not None
    assert child["returncode"] is None
    assert stranger.poll() is None


def test_twice_is_once(keeper, connect, stranger):
    client = connect()
    client.ask("lease", after=0)
    started = kernel.start_time(stranger.pid)
    first = adopt(client, stranger.pid, started)
    assert adopt(client, stranger.pid, started) == first
    assert len(keeper.children.adopted()) == 1
    stranger.stdin.close()
    settled(keeper, first)


def test_without_a_lease_nothing_is_adopted(connect, stranger):
    answer = connect().ask("adopt", key="4", generation=1, pid=stranger.pid, start_time=1, started_at=1.0)
    assert answer["error"]["type"] == "StaleLease"
