"""Nobody loses a connection that no worker had taken: whoever of acceptor and workers dies, stops or leaves."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from passed import Client, acceptor_of, ask_once, clients, open_at, pids_of, running, until

from capabilities import DEADLINE
from rookery.cluster import stats
from rookery.lifecycle.state import State

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

MODES = ["round_robin", "least_connections"]


async def stopped(pid):
    """Stop a process, and wait until it is."""
    os.kill(pid, signal.SIGSTOP)

    def is_stopped():
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

    await until(is_stopped, "its being stopped")


def waiting_for(cluster, slot):
    """How many connections were passed to a worker and not taken."""
    passing = cluster._desk.passing
    worker = cluster._crew.members[slot].id
    link = passing._links[worker]
    return link.passed() - link.page.words[stats.ACCEPTED]


async def answers(many):
    return [await client.answer() for client in many]


async def test_what_comes_while_there_is_no_acceptor_waits_for_the_next_one():
    async with running("round_robin") as cluster, clients(cluster.addresses[0], 4) as kept:
        assert len({(await client.ask())["slot"] for client in kept}) == 2
        workers, acceptor = pids_of(cluster), acceptor_of(cluster)
        await stopped(acceptor)
        async with clients(cluster.addresses[0], 50) as many:
            for client in many:
                client.send()
            os.kill(acceptor, signal.SIGKILL)
            found = await answers(many)
            assert sorted(answer["slot"] for answer in found) == [0] * 25 + [1] * 25
            assert {(await client.ask())["pid"] for client in kept} == set(workers.values())
        assert acceptor_of(cluster) not in (acceptor, None)
        assert pids_of(cluster) == workers


async def test_an_acceptor_that_dies_again_and_again_comes_back_each_time():
    async with running("least_connections") as cluster, clients(cluster.addresses[0], 5) as kept:
        for client in kept:
            await client.ask()
        for _ in range(5):
            acceptor = acceptor_of(cluster)
            os.kill(acceptor, signal.SIGKILL)
            await until(lambda was=acceptor: acceptor_of(cluster) not in (was, None), "another acceptor")
            await ask_once(cluster.addresses[0])
        # What they counted before is not forgotten with them.
        await until(lambda: open_at(cluster, 0) + open_at(cluster, 1) == 5, "the end of the others")
        async with clients(cluster.addresses[0], 5) as more:
            for client in more:
                await client.ask()
            assert open_at(cluster, 0) == open_at(cluster, 1) == 5


@pytest.mark.parametrize("balance", MODES)
async def test_what_a_dead_worker_had_not_taken_goes_to_others(balance):
    async with running(balance) as cluster:
        victim = pids_of(cluster)[0]
        await stopped(victim)
        async with clients(cluster.addresses[0], 16) as many:
            for client in many:
                client.send()
            await until(lambda: waiting_for(cluster, 0) == 8, "its share of connections")
            os.kill(victim, signal.SIGKILL)
            found = await answers(many)
        assert victim not in {answer["pid"] for answer in found}


async def test_what_a_dead_worker_had_not_taken_is_kept_while_there_is_no_acceptor_either():
    async with running("round_robin") as cluster:
        victim, acceptor = pids_of(cluster)[0], acceptor_of(cluster)
        await stopped(victim)
        async with clients(cluster.addresses[0], 16) as many:
            for client in many:
                client.send()
            await until(lambda: waiting_for(cluster, 0) == 8, "its share of connections")
            await stopped(acceptor)
            os.kill(victim, signal.SIGKILL)
            await until(lambda: cluster._crew.members[0].plumbing.id > 2, "the next worker")
            os.kill(acceptor, signal.SIGKILL)  # with the connections unread that it was given
            found = await answers(many)
        assert victim not in {answer["pid"] for answer in found}


async def test_all_workers_dead_nobody_is_reset():
    async with running("round_robin") as cluster:
        for pid in pids_of(cluster).values():
            await stopped(pid)
        async with clients(cluster.addresses[0], 20) as many:
            for client in many:
                client.send()
            await until(lambda: waiting_for(cluster, 0) + waiting_for(cluster, 1) == 20, "all of them passed")
            for row in cluster.status().workers:
                os.kill(row.pid, signal.SIGKILL)
            assert len(await answers(many)) == 20


@pytest.mark.parametrize("how", ["scale", "reload", "signal", "stop"])
async def test_who_leaves_takes_all_that_was_passed_to_it(how):
    async with running("round_robin") as cluster:
        leaver = pids_of(cluster)[1]
        await stopped(leaver)
        async with clients(cluster.addresses[0], 16) as many:
            for client in many:
                client.send()
            await until(lambda: waiting_for(cluster, 1) == 8, "its share of connections")
            leaving = None
            if how == "signal":
                os.kill(leaver, signal.SIGTERM)
            else:
                leaving = asyncio.ensure_future(
                    {"scale": lambda: cluster.scale(1), "reload": cluster.reload, "stop": cluster.stop}[how]()
                )
                await until(lambda: how == "reload" or cluster._crew.leaving, "its leave")
            os.kill(leaver, signal.SIGCONT)
            found = await answers(many)
            assert [answer["pid"] for answer in found].count(leaver) == 8
            if leaving is not None:
                await leaving


async def test_what_waits_to_be_accepted_at_the_end_is_served():
    async with running("round_robin") as cluster:
        acceptor = acceptor_of(cluster)
        await stopped(acceptor)
        async with clients(cluster.addresses[0], 100) as many:
            for client in many:
                client.send()
            ending = asyncio.ensure_future(cluster.stop())
            await until(lambda: cluster._desk.passing.unit.state is State.STOPPING, "its being told")
            os.kill(acceptor, signal.SIGCONT)
            assert len(await answers(many)) == 100
            await ending


async def test_a_worker_that_does_not_read_is_passed_over():
    async with running("round_robin", workers=3) as cluster:
        pids = pids_of(cluster)
        await stopped(pids[1])
        async with clients(cluster.addresses[0], 90) as many:
            await until(lambda: open_at(cluster, 0) + open_at(cluster, 2) == 60, "the others' taking theirs")
            assert waiting_for(cluster, 1) == 30
            await asyncio.sleep(0.3)  # after 0.2 seconds it is seen to take none
            for _ in range(30):
                assert (await ask_once(cluster.addresses[0]))["slot"] != 1
            os.kill(pids[1], signal.SIGCONT)
            for client in many:
                client.send()
            assert len({answer["pid"] for answer in await answers(many)}) == 3
            await until(lambda: waiting_for(cluster, 1) == 0, "its having caught up")
            assert {(await ask_once(cluster.addresses[0]))["slot"] for _ in range(3)} == {0, 1, 2}


async def test_a_worker_without_descriptors_left_lets_them_wait():
    async with running("round_robin", app="passed_app:narrow", factory=True, workers=1) as cluster:
        async with clients(cluster.addresses[0], 400) as many:
            for client in many:
                client.send()
            for client in many:  # one ends, another has room
                await client.answer()
                client.writer.close()
        assert (await ask_once(cluster.addresses[0]))["slot"] == 0


@pytest.mark.parametrize("balance", [*MODES, "sticky"])
async def test_reloads_fail_no_request(balance):
    """Kept connections, one for each request, and those that say something only after a while."""
    served, is_over = [], asyncio.Event()

    async def keeps(address):
        while not is_over.is_set():
            async with Client(address) as client:
                while not client.is_last and not is_over.is_set():
                    served.append(await client.ask())
                    await asyncio.sleep(0.002)

    async def fresh(address):
        while not is_over.is_set():
            served.append(await ask_once(address))

    async def lags(address):
        while not is_over.is_set():
            async with Client(address) as client:
                await asyncio.sleep(0.03)
                served.append(await client.ask())

    async with running(balance, linger=2.0) as cluster:
        address = cluster.addresses[0]
        load = [asyncio.ensure_future(work(address)) for work in (keeps, keeps, fresh, fresh, lags, lags)]
        for _ in range(5):
            before = len(served)
            assert (await cluster.reload()).replaced == (0, 1)
            assert len(served) > before
        is_over.set()
        await asyncio.gather(*load)
        assert len({answer["pid"] for answer in served}) == (6 if balance == "sticky" else 12)


async def test_the_acceptor_ends_with_the_cluster():
    async with running("round_robin") as cluster:
        pid = acceptor_of(cluster)
        assert "accepts" in Path(f"/proc/{pid}/cmdline").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_many_in_one_rush_are_all_served():
    async with running("round_robin", workers=2, backlog=2048) as cluster:
        await stopped(acceptor_of(cluster))
        async with clients(cluster.addresses[0], 1500) as many:
            for client in many:
                client.send()
            os.kill(acceptor_of(cluster), signal.SIGCONT)
            found = await answers(many)
        assert sorted(answer["slot"] for answer in found) == [0] * 750 + [1] * 750
