"""Stopping real trees: runaways, forkers, who ignores signals; and never anybody else."""

import asyncio
import os
import signal
import sys

import pytest

from rookery._base.clock import SystemClock
from rookery._base.ids import COOKIE, new_scope
from rookery._os import features, kernel
from rookery.lifecycle.stop import StopPlan
from rookery.process.adopted import AdoptedHandle
from rookery.process.local import LocalSpawner
from rookery.process.spec import SpawnSpec
from rookery.process.stop import kill_now, stop, sweep
from rookery.testing import wait_until
from rookery.testing.wire import Wire, python

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]

CLOCK = SystemClock()
SCOPE = new_scope()  # another run at the same time has its own
OWN = f"{SCOPE}:tree:1"
SAY = """
import os, signal, sys, time
def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
def stay():
    sys.stdin.read()
    os._exit(0)
"""
# Twice forked, in a session of its own; the marks it keeps are told by argv: "cookie", or "nothing".
ESCAPE = (
    SAY
    + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if sys.argv[1] == "nothing":
            os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import os, sys; "
                "os.write(1, b'%d' % os.getpid() + bytes([10])); sys.stdin.read()"], {})
        say(os.getpid())
        stay()
    if sys.argv[1] == "nothing":
        stay()  # its parent stays, so that it descends from the leader
    os._exit(0)
"""
)
LEAVES = "\nos._exit(3)\n"
STAYS = "\nstay()\n"


@pytest.fixture
def wire():
    with Wire() as wire:
        yield wire


@pytest.fixture(params=["pidfd", "no pidfd"])
def pidfds(request, monkeypatch):
    if request.param == "no pidfd":
        monkeypatch.setenv(features.WITHOUT, "pidfd")
    features.forget()
    yield
    monkeypatch.undo()
    features.forget()


@pytest.fixture
def spawn(wire):
    spawner = LocalSpawner()

    async def spawn(code, *args, cookie=OWN):
        spec = SpawnSpec(python(code, *args), env={**os.environ, COOKIE: cookie}, fds=wire.fds)
        handle = await spawner.spawn(spec, cookie, 1)
        return handle, spawner.tree(handle, cookie)

    return spawn


def born(wire):
    """The process that says its pid next."""
    pid = int(wire.line())
    return pid, kernel.start_time(pid)


@pytest.mark.parametrize("marks", ["cookie", "nothing"])
async def test_a_runaway_does_not_survive_the_stop(spawn, wire, pidfds, marks):
    handle, tree = await spawn(ESCAPE + STAYS, marks)
    runaway = born(wire)
    assert kernel.is_alive(*runaway)
    await stop(handle, tree, StopPlan(graceful_timeout=20), CLOCK)
    assert not kernel.is_alive(*runaway)
    assert not kernel.is_alive(handle.pid, handle.start_time)
    assert (await handle.wait()).signal == signal.SIGTERM


async def test_a_runaway_does_not_survive_a_leader_that_ends_by_itself(spawn, wire, pidfds):
    handle, tree = await spawn(ESCAPE + LEAVES, "cookie")
    runaway = born(wire)
    assert (await handle.wait()).code == 3
    assert kernel.is_alive(*runaway)
    assert await sweep(tree, CLOCK) == [runaway[0]]
    assert not kernel.is_alive(*runaway)


async def test_who_had_a_session_of_its_own_and_is_a_zombie_of_the_leader_is_reaped(spawn, wire):
    code = (
        SAY
        + """
if os.fork() == 0:
    os.setsid()
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
say("ended")
"""
    )
    handle, tree = await spawn(code + STAYS)
    assert wire.line() == "ended"
    await stop(handle, tree, StopPlan(graceful_timeout=20), CLOCK)


async def test_who_ignores_sigterm_is_killed_after_the_grace(spawn, wire):
    handle, tree = await spawn(SAY + "signal.signal(15, signal.SIG_IGN); say(os.getpid())" + STAYS)
    born(wire)
    assert await stop(handle, tree, StopPlan(graceful_timeout=0.05), CLOCK) is True
    assert (await handle.wait()).signal_name == "SIGKILL"


async def test_with_scope_leader_the_leader_alone_hears_the_polite_signal(spawn, wire):
    code = (
        SAY
        + """
def heard(*_):
    say("heard", "child" if child == 0 else "leader")
    os._exit(0)
signal.signal(15, heard)
child = os.fork()
say("child" if child == 0 else "leader", "ready")
"""
        + STAYS
    )
    handle, tree = await spawn(code)
    assert {wire.line(), wire.line()} == {"child ready", "leader ready"}
    await stop(handle, tree, StopPlan(graceful_timeout=20, scope="leader"), CLOCK)
    os.write(wire.stdout, b"end\n")
    assert list(iter(wire.line, "end")) == ["heard leader"]


async def test_a_tree_that_forks_all_the_time(spawn, wire):
    code = (
        SAY
        + """
signal.signal(15, signal.SIG_IGN)
signal.signal(17, signal.SIG_IGN)
for depth in range(3):
    os.fork()
say("ready")
for number in range(40):
    if os.fork() == 0:
        if number % 2:
            os.setsid()
        time.sleep(0.02)
        if os.fork() == 0:
            stay()
        os._exit(0)
    time.sleep(0.005)
"""
        + STAYS
    )
    handle, tree = await spawn(code)
    for _ in range(8):
        assert wire.line() == "ready"
    assert await stop(handle, tree, StopPlan(graceful_timeout=0.1), CLOCK) is True
    assert tree.members() == []


async def test_killing_now_leaves_nothing_running(spawn, wire):
    handle, tree = await spawn(ESCAPE + STAYS, "cookie")
    runaway = born(wire)
    kill_now(tree)
    await handle.wait()
    wait_until(lambda: tree.members() == [], what="the end of the tree")
    assert not kernel.is_alive(*runaway)


async def test_a_tree_beside_ours_is_not_touched(spawn, wire):
    other, other_tree = await spawn(ESCAPE + STAYS, "cookie", cookie=f"{SCOPE}:other:1")
    other_runaway = born(wire)
    handle, tree = await spawn(ESCAPE + STAYS, "cookie")
    born(wire)
    await stop(handle, tree, StopPlan(graceful_timeout=20), CLOCK)
    assert kernel.is_alive(other.pid, other.start_time)
    assert set(other_tree.members()) >= {(other.pid, other.start_time), other_runaway}
    await stop(other, other_tree, StopPlan(graceful_timeout=20), CLOCK)


async def test_a_pid_that_was_used_again_is_not_hit(spawn, wire, pidfds):
    handle, tree = await spawn(SAY + "say(os.getpid())" + STAYS)
    born(wire)
    earlier = handle.start_time - 1
    assert kernel.signal_process(handle.pid, earlier, signal.SIGKILL) is False
    assert tree.signal((handle.pid, earlier), signal.SIGKILL) is False
    gone = AdoptedHandle(handle.pid, earlier, CLOCK)
    assert (await asyncio.wait_for(gone.wait(), 20)).code is None
    assert gone.signal(signal.SIGKILL) is False
    gone.close()
    assert kernel.is_alive(handle.pid, handle.start_time)
    await stop(handle, tree, StopPlan(graceful_timeout=20), CLOCK)
    assert handle.signal(signal.SIGTERM) is False


async def test_an_adopted_process_is_watched_signalled_and_its_end_seen(wire, pidfds):
    pid = os.posix_spawn(  # noqa: ASYNC221 - not through us
        sys.executable, python(SAY + "say(os.getpid())" + STAYS), os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, wire.stdin, 0), (os.POSIX_SPAWN_DUP2, wire.stdout, 1)
        ],
    )  # fmt: skip
    adopted = AdoptedHandle(*born(wire), CLOCK)
    waiting = asyncio.ensure_future(adopted.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert adopted.signal(signal.SIGTERM) is True
    status = await asyncio.wait_for(waiting, 20)
    assert (status.code, status.signal) == (None, None)
    adopted.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, os.WNOHANG)[1]) == -signal.SIGTERM  # noqa: ASYNC222 - it does not wait


async def test_letting_go_of_an_adopted_process_leaves_nothing(wire, pidfds):
    adopted = AdoptedHandle(os.getpid(), kernel.start_time(os.getpid()), CLOCK)
    await asyncio.sleep(0)
    adopted.close()
