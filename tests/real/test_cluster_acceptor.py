"""Who gets which connection, where one process accepts for all."""

from __future__ import annotations

import asyncio
import collections
import os
import signal

import pytest
from passed import APPS, Client, ask_once, clients, open_at, pids_of, running, until

from capabilities import DEADLINE
from rookery.errors import ClusterError, UsageError

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]


@pytest.mark.parametrize("balance", ["round_robin", "least_connections"])
async def test_a_thousand_connections_are_split_within_one(balance):
    async with running(balance, workers=4) as cluster, clients(cluster.addresses[0], 1000) as many:
        for client in many:
            client.send()
        counts = collections.Counter([(await client.answer())["slot"] for client in many])
        assert set(counts.values()) == {250}


async def test_who_has_fewer_open_connections_gets_the_next():
    async with running("least_connections", workers=3) as cluster, clients(cluster.addresses[0], 12) as many:
        answers = [await client.ask() for client in many]
        emptied = [client for client, answer in zip(many, answers, strict=True) if answer["slot"] == 1]
        assert len(emptied) == 4
        for client in emptied:
            client.writer.close()
        await until(lambda: open_at(cluster, 1) == 0, "the end of all connections of worker 1")
        async with clients(cluster.addresses[0], 4) as more:
            assert [(await client.ask())["slot"] for client in more] == [1, 1, 1, 1]


async def test_long_requests_are_not_heaped_on_one_worker():
    async with running("least_connections", workers=2) as cluster, clients(cluster.addresses[0], 1) as (long,):
        long.send("/wait/2")
        slot = await until(lambda: [one for one in (0, 1) if open_at(cluster, one)], "its being taken")
        for _ in range(6):
            assert [(await ask_once(cluster.addresses[0]))["slot"]] != slot
            await until(lambda: not open_at(cluster, 1 - slot[0]), "the end of the short one")
        assert [(await long.answer())["slot"]] == slot


async def test_a_client_keeps_its_slot_over_a_crash_and_a_reload():
    sources = [f"127.0.0.{number}" for number in range(10, 34)]

    async def slots(cluster):
        found = await asyncio.gather(*(ask_once(cluster.addresses[0], source=source) for source in sources))
        return [answer["slot"] for answer in found]

    async with running("sticky", workers=3) as cluster:
        before = await slots(cluster)
        assert set(before) == {0, 1, 2}
        assert await slots(cluster) == before
        pids = pids_of(cluster)
        os.kill(pids[1], signal.SIGKILL)
        await until(lambda: pids_of(cluster).get(1) not in (pids[1], None), "another worker 1")
        assert await slots(cluster) == before
        await cluster.reload()
        assert await slots(cluster) == before
        assert not set(pids.values()) & set(pids_of(cluster).values())
        await cluster.scale(2)
        after = await slots(cluster)
        assert [new for new, old in zip(after, before, strict=True) if old != 2] == [old for old in before if old != 2]


@pytest.mark.parametrize("by", ["name", "value", "reference"])
async def test_a_function_of_your_own_chooses(by, monkeypatch):
    monkeypatch.syspath_prepend(APPS)
    import passed_app

    least = 2
    function = {
        "name": "passed_app:last_slot",
        "value": lambda address, workers: least if address[0] == "127.0.0.1" else 0,
        "reference": passed_app.last_slot,
    }[by]
    async with running(function, workers=3) as cluster:
        assert [(await ask_once(cluster.addresses[0]))["slot"] for _ in range(4)] == [2, 2, 2, 2]
        assert cluster.status().balance in ("function", "passed_app:last_slot")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("fails", "ValueError: no idea"), ("nowhere", "99 is none of the slots [0, 1]")],
)
async def test_where_the_function_fails_they_take_turns(name, complaint, capfd):
    async with running(f"passed_app:{name}") as cluster:
        found = [(await ask_once(cluster.addresses[0]))["slot"] for _ in range(4)]
    assert sorted(found) == [0, 0, 1, 1]
    said = capfd.readouterr().err
    assert complaint in said
    assert said.count(complaint) == 1, "not for each connection"


async def test_a_function_that_is_not_there_is_said_at_once():
    with pytest.raises(ClusterError, match=r"(?s)did not start.*no attribute 'missing'"):
        async with running("passed_app:missing"):
            pass


async def test_a_function_that_cannot_travel_is_refused():
    lock = asyncio.get_running_loop()
    with pytest.raises(UsageError, match="cannot be given to the process that accepts"):
        async with running(lambda address, workers: lock and 0):
            pass


@pytest.mark.parametrize("app", ["passed_app:app", "passed_app:wsgi"])
async def test_every_kind_of_address_and_the_clients_own(app, tmp_path):
    places = ["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path / 'socket'}"]
    async with running("round_robin", app=app, bind=places) as cluster:
        assert len(cluster.addresses) == 3
        for address, host in zip(cluster.addresses, ["127.0.0.1", "::1", None], strict=True):
            async with Client(address) as client:
                answer = await client.ask()
                own = client.writer.get_extra_info("sockname")
                if host is None:
                    assert answer["client"] in (None, [""], ["unix"], [None], [""])
                elif len(answer["client"]) == 2:
                    assert answer["client"] == list(own[:2])
                else:
                    assert answer["client"] == [host]
    assert not (tmp_path / "socket").exists()


async def test_a_program_cannot_be_passed_connections():
    with pytest.raises(UsageError, match="only Python apps"):
        async with running("round_robin", app=["sleep", "9"]):
            pass
