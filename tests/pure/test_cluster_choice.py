"""Which worker gets a connection: tables."""

from __future__ import annotations

import collections
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.cluster.acceptor.choice import (
    STRATEGIES,
    Worker,
    least_connections,
    not_stalled,
    of_yours,
    round_robin,
    sticky,
)

HOME = ("10.0.0.1", 4711)


def workers(*connections, slots=None, waiting=None):
    slots = slots or range(len(connections))
    waiting = waiting or [0] * len(connections)
    return [Worker(*row) for row in zip(slots, range(100, 200), connections, waiting, strict=False)]


@pytest.mark.parametrize(
    ("slots", "last", "wanted"),
    [
        ([0, 1, 2], -1, 0),
        ([0, 1, 2], 0, 1),
        ([0, 1, 2], 2, 0),
        ([0, 2, 3], 0, 2),  # slot 1 is away
        ([0, 2, 3], 1, 2),  # it went away after its turn
        ([0, 2], 3, 0),  # there were more before
        ([5], 5, 5),
    ],
)
def test_turns(slots, last, wanted):
    found = workers(*[0] * len(slots), slots=slots)
    assert found[round_robin(HOME, found, last)].slot == wanted


@pytest.mark.parametrize(
    ("connections", "last", "wanted"),
    [
        ([3, 1, 2], -1, 1),
        ([0, 0, 0], -1, 0),
        ([0, 0, 0], 0, 1),  # equals take turns
        ([0, 0, 0], 2, 0),
        ([1, 0, 0], 1, 2),
        ([1, 0, 0], 2, 1),
        ([7], 0, 0),
        ([100, 99, 100], 1, 1),
    ],
)
def test_the_fewest(connections, last, wanted):
    assert least_connections(HOME, workers(*connections), last) == wanted


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers(-1, 12))
def test_nobody_has_fewer_than_the_one_that_is_chosen(connections, last):
    assert connections[least_connections(HOME, workers(*connections), last)] == min(connections)


@given(st.integers(1, 9), st.integers(1, 300))
def test_however_many_come_the_split_is_within_one(count, arrivals):
    for strategy in (round_robin, least_connections):
        counts, last = [0] * count, -1
        for _ in range(arrivals):
            last = strategy(HOME, workers(*counts), last)
            counts[last] += 1
        assert max(counts) - min(counts) <= 1


def test_a_client_stays_where_it_is():
    many = workers(*[0] * 5)
    for last in range(-1, 5):
        assert sticky(HOME, many, last) == sticky(("10.0.0.1", 9999), many, 0)


def test_who_is_away_takes_only_its_own_clients_away():
    clients = [(f"10.0.{number // 250}.{number % 250}", 1) for number in range(1000)]
    all_of_them = workers(*[0] * 4)
    three = [worker for worker in all_of_them if worker.slot != 2]
    before = [all_of_them[sticky(client, all_of_them, 0)].slot for client in clients]
    after = [three[sticky(client, three, 0)].slot for client in clients]
    assert all(new == old for new, old in zip(after, before, strict=True) if old != 2)
    moved = collections.Counter(new for new, old in zip(after, before, strict=True) if old == 2)
    assert set(moved) == {0, 1, 3}, "its clients are spread, not heaped on a neighbour"
    assert all(200 < count < 300 for count in collections.Counter(before).values())


@pytest.mark.parametrize("address", ["", None, b"", "/run/client"])
def test_who_has_no_address_takes_turns(address):
    assert [sticky(address, workers(0, 0, 0), last) for last in (-1, 0, 1, 2)] == [0, 1, 2, 0]


def test_sticky_means_the_host_also_for_version_6():
    many = workers(*[0] * 7)
    assert sticky(("::1", 1, 0, 0), many, 0) == sticky(("::1", 2, 0, 0), many, 3)


@pytest.mark.parametrize(
    ("waiting", "stalled", "slots"),
    [
        ([0, 0, 0], [0, 0, 0], [0, 1, 2]),
        ([0, 16, 0], [0, 9, 0], [0, 1, 2]),
        ([0, 17, 0], [0, 9, 0], [0, 2]),
        ([0, 17, 0], [0, 0.2, 0], [0, 1, 2]),  # only just: it waits for its turn of the processor
        ([300, 250, 280], [9, 9, 9], [0, 1, 2]),  # a rush: nobody is left out
        ([300, 10, 280], [1, 1, 1], [1]),
        ([9], [1], [0]),
    ],
)
def test_who_takes_none_while_others_do_is_passed_over(waiting, stalled, slots):
    class Row(NamedTuple):
        slot: int
        waiting: int
        stalled: float

    rows = [Row(*row) for row in zip(range(9), waiting, stalled, strict=False)]
    assert [row.slot for row in not_stalled(rows)] == slots


def test_a_function_of_your_own_sees_address_and_workers():
    seen = []

    def choose(address, rows):
        seen.append((address, rows))
        return 2

    found = workers(1, 5, slots=[0, 2])
    assert of_yours(choose, print)(HOME, found, 0) == 1
    assert seen == [(HOME, tuple(found))]


@pytest.mark.parametrize("wrong", [7, -1, None, "0", 1.5])
def test_a_slot_that_is_none_is_told_and_not_used(wrong):
    said = []
    strategy = of_yours(lambda address, rows: wrong, said.append)
    assert [strategy(HOME, workers(0, 0), last) for last in (-1, 0, 1)] == [0, 1, 0]
    assert len(said) == 3
    assert said[0] == f"{wrong!r} is none of the slots [0, 1], the next one is taken"


def test_a_function_that_raises_is_told_and_the_next_slot_taken():
    said = []

    def choose(address, rows):
        raise KeyError(address)

    assert of_yours(choose, said.append)(HOME, workers(0, 0), 0) == 1
    assert said == ["choosing a worker failed, the next one is taken: KeyError: ('10.0.0.1', 4711)"]


def test_the_names():
    assert set(STRATEGIES) == {"round_robin", "least_connections", "sticky"}
