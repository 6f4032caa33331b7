"""What goes wrong around a fork-server: it is killed, stopped, short of everything, or its preloads fail."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from forked import Forked
from nursery_faults import FEW
from nursery_harness import Grown, until

from capabilities import DEADLINE
from rookery._os import exits, features, kernel
from rookery.errors import CommandNotFound, NotReady, ResourcesExhausted, UsageError
from rookery.process.reaper import TABLE
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]
PARENT = Path(__file__).parent / "programs" / "pool_nursery_parent.py"


@pytest.fixture(params=["", "pidfd", "pidfd_info", "subreaper"])
def without(request, monkeypatch):
    was_subreaper = kernel.is_subreaper()
    if request.param == "subreaper":
        kernel.set_subreaper(False)
    if request.param:
        monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield request.param
    monkeypatch.undo()
    features.forget()
    kernel.set_subreaper(was_subreaper)


async def gone(pid, started):
    await until(lambda: not kernel.is_alive(pid, started), f"the end of {pid}")


def signal_server(grown, number):
    pid = grown.nursery.server_pid
    started = kernel.start_time(pid)
    kernel.signal_process(pid, started, number)
    return pid, started


# -- the fork-server is lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_workers_survive_their_server_and_are_watched(number, without):
    async with Grown() as grown:
        workers = [await grown.start(f"ends {how}") for how in ("exit 3", "segv", "exit 0")]
        for worker in workers:
            await worker.hear()
        server = signal_server(grown, number)
        await gone(*server)
        assert all(worker.handle.is_running for worker in workers)
        for worker in workers[:2]:
            worker.let_go()
        found = [await worker.end() for worker in workers[:2]]
        if without in ("subreaper", "pidfd") and not (exits.can_tell() and kernel.has_pidfd()):
            assert {status.returncode for status in found} <= {None, 3, -11}
        else:
            assert [status.returncode for status in found] == [3, -11]
            if without != "subreaper":  # they were ours by then
                assert not any(kernel.facts(worker.handle.pid) for worker in workers[:2])
        new = await grown.start("greets")
        await new.hear()
        assert grown.nursery.server_pid not in (None, server[0])
        assert workers[2].handle.is_running
        assert workers[2].handle.signal(signal.SIGKILL)
        assert (await workers[2].end()).signal in (signal.SIGKILL, None)


async def test_a_worker_that_ended_with_its_server_is_reaped():
    async with Grown() as grown:
        worker = await grown.start("ends exit 3")
        await worker.hear()
        server = signal_server(grown, signal.SIGSTOP)
        worker.let_go()
        assert (await worker.end()).code == 3  # nobody has reaped it, and it is known
        kernel.signal_process(*server, signal.SIGKILL)
        await gone(*server)
        await until(lambda: kernel.facts(worker.handle.pid) is None, "somebody who reaps it")


async def test_a_server_that_does_not_answer_is_replaced(without):
    async with Grown(answer_timeout=1.5) as grown:
        old = await grown.start("greets")
        await old.hear()
        server = signal_server(grown, signal.SIGSTOP)
        new = await asyncio.gather(*(grown.start("greets") for _ in range(3)))
        for worker in new:
            assert (await worker.hear())["pid"] == worker.handle.pid
        await gone(*server)
        assert old.handle.is_running
        old.let_go()
        assert (await old.end()).code in (0, None)


async def test_a_server_that_is_slow_and_answers_again_is_kept():
    async with Grown(answer_timeout=DEADLINE) as grown:
        await (await grown.start("greets")).hear()
        pid, started = signal_server(grown, signal.SIGSTOP)
        starts = [asyncio.ensure_future(grown.start("greets " + "x" * 200_000)) for _ in range(10)]
        for _ in range(5):
            await asyncio.sleep(0)
        cancelled, kept = starts[5:], starts[:5]
        for start in cancelled:
            start.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert sum(not one.is_begun for one in grown.nursery._server._outbox) <= len(kept)
        kernel.signal_process(pid, started, signal.SIGCONT)
        workers = await asyncio.gather(*kept)
        for worker in workers:
            assert len((await worker.hear())["rest"]) == 200_000
        assert grown.nursery.server_pid == pid
        assert len(grown.nursery.workers) == 6
        await until(lambda: len(kernel.children(pid)) == 6, "the end of those who were cancelled")


async def test_closing_ends_a_stopped_server():
    async with Grown() as grown:
        await (await grown.start("greets")).hear()
        server = signal_server(grown, signal.SIGSTOP)
    assert not kernel.is_alive(*server)


async def test_who_was_forked_and_not_told_of_never_runs(without):
    async with Grown(fault="dies_forking") as grown:
        with pytest.raises(NotReady, match="killed by SIGKILL"):
            await grown.start("greets")
        sock = grown._socks[0]
        assert await asyncio.get_running_loop().sock_recv(sock, 100) == b""  # it had it, and said nothing
    # Reaped too: the leak check would find it.


# -- it is short of something -----------------------------------------------------------------------------------------


async def test_a_fork_that_fails_is_told_and_the_server_lives_on():
    async with Grown(fault="fork_fails 2") as grown:
        for _ in range(2):
            with pytest.raises(ResourcesExhausted):
                await grown.start("greets")
        server = grown.nursery.server_pid
        assert await (await grown.start("greets")).hear()
        assert grown.nursery.server_pid == server


@pytest.mark.parametrize("left", range(4))
async def test_a_server_without_descriptors_says_so_and_lives_on(left):
    async with Grown(fault=f"few_descriptors {left}") as grown:
        assert await (await grown.start("greets")).hear()
        server, _ = signal_server(grown, signal.SIGUSR1)
        numbers = f"/proc/{server}/fd"
        wait_until(lambda: len(os.listdir(numbers)) >= FEW - left, DEADLINE, "the server to be short of descriptors")
        if left < 3:  # one for the socket, two for the gate
            for _ in range(2):
                with pytest.raises(ResourcesExhausted):
                    await grown.start("greets", more=[0, 0])
            left = 0
        else:
            assert await (await grown.start("greets")).hear()
            left = 1
        signal_server(grown, signal.SIGUSR2)
        worker = await grown.start("greets")
        assert (await worker.hear())["pid"] == worker.handle.pid
        assert grown.nursery.server_pid == server
        assert len(kernel.children(server)) == len(grown.nursery.workers) == 2 + left


async def test_no_descriptor_for_the_answer_ends_that_worker():
    async with Grown() as grown:
        await (await grown.start("greets")).hear()
        server = grown.nursery.server_pid
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held, null = [], os.open(os.devnull, os.O_RDONLY)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
            while True:
                held.append(os.dup(null))
        except OSError:
            pass
        try:
            with pytest.raises(ResourcesExhausted):
                async with asyncio.timeout(DEADLINE):
                    await grown.nursery.start_worker("late", [null], b"greets")
        finally:
            for fd in [*held, null]:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await (await grown.start("greets")).hear()
        assert grown.nursery.server_pid == server
        assert len(grown.nursery.workers) == 2
        await until(lambda: len(kernel.children(server)) == 2, "the end of the one that nobody has")


async def test_a_server_that_cannot_be_started(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    async with Grown() as grown:
        with pytest.raises(CommandNotFound):
            await grown.start("greets")
        monkeypatch.undo()
        assert await (await grown.start("greets")).hear()


# -- preloads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raises", "'nursery_faults' cannot be imported: ValueError: a preload that fails"),
        ("segv", "the fork-server was killed by SIGSEGV while it imported 'nursery_faults'"),
        ("exits 3", "'nursery_faults' cannot be imported: SystemExit: 3"),
        ("hangs", "the fork-server did not answer for 0.5 s while it imported 'nursery_faults'"),
    ],
)
async def test_a_preload_that_fails_is_named(fault, said):
    async with Grown(fault=fault, answer_timeout=0.5 if fault == "hangs" else DEADLINE) as grown:
        starts = [asyncio.ensure_future(grown.start("greets")) for _ in range(3)]
        for result in await asyncio.gather(*starts, return_exceptions=True):
            assert isinstance(result, NotReady)
            assert said in str(result)
        if fault == "raises":
            assert "nursery_faults.py" in str(result)


async def test_a_preload_that_is_not_there_is_named():
    async with Grown(preload=("no_such_module_at_all",)) as grown:
        with pytest.raises(NotReady, match="no_such_module_at_all"):
            await grown.start("greets")


# -- the parent is gone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("also", ["", "guardian", "server", "forked"])
def test_nothing_outlives_a_killed_parent(also):
    hold, release = os.pipe()
    with subprocess.Popen([sys.executable, PARENT, also], stdin=hold, stdout=subprocess.PIPE, text=True) as parent:
        os.close(hold)
        said = json.loads(parent.stdout.readline())
        pids = [said["server"], said["worker"], *said["family"]]
        born = {pid: kernel.start_time(pid) for pid in (*pids, said["guardian"], said["copy"]) if pid > 0}
        if also in ("guardian", "server"):
            kernel.signal_process(said[also], born[said[also]], signal.SIGKILL)
            wait_until(lambda: not kernel.is_alive(said[also], born[said[also]]), DEADLINE, f"the end of the {also}")
        parent.kill()
        parent.wait()
        # Without the guardian the server sees to its workers; who left their tree is then nobody's.
        mine = pids[:2] if also == "guardian" else pids
        for pid in mine:
            wait_until(lambda pid=pid: not kernel.is_alive(pid, born[pid]), DEADLINE, f"the end of {pid} of {said}")
        os.close(release)
        for pid, started in born.items():
            kernel.signal_process(pid, started, signal.SIGKILL)
        wait_until(lambda: _reaped(born), DEADLINE, "the end of all")


def _reaped(born):
    left = set(kernel.adopted()) & set(born)
    for pid in left:
        os.waitpid(pid, os.WNOHANG)
    return not any(kernel.is_alive(pid, started) for pid, started in born.items()) and not left


async def test_a_forked_copy_cannot_use_it_and_does_no_harm():
    async with Grown() as grown:
        worker = await grown.start("greets")
        await worker.hear()
        sockets = _sockets()

        def use():
            with pytest.raises(UsageError, match="no worker can be started"):
                grown.nursery.begin()
            assert worker.handle.pidfd == -1
            assert len(_sockets()) < len(sockets)
            grown.nursery.kill_now()
            with pytest.raises(StopIteration):
                grown.nursery.close().send(None)

        with Forked(use) as copy:
            assert copy.join() == 0
        worker.let_go()
        assert (await worker.end()).code == 0
        assert await (await grown.start("greets")).hear()
        assert TABLE.alive() == [grown.nursery.server_pid]


def _sockets():
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
    return found
