"""Statistics in a shared page, silences, and limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.cluster import stats
from rookery.cluster.limits import Facts, why_replace
from rookery.cluster.silence import Silence
from rookery.cluster.stats import Numbers, Page


@given(st.integers(0, 10**12))
def test_a_place_stands_for_what_it_holds(microseconds):
    place = stats.bucket(microseconds)
    assert 0 <= place < stats.BUCKETS
    assert stats.middle(place) == pytest.approx(microseconds / 1e6, rel=0.07, abs=1e-6)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_places_are_in_order(one, other):
    assert (stats.bucket(one) <= stats.bucket(other)) or one > other


def test_what_one_writes_the_other_reads():
    page = Page.make()
    reader = Page(stats.os.dup(page.fd))
    words = page.words
    words[stats.HEARTBEAT] = 5 * 10**9
    for latency in (100, 200, 100_000):
        words[stats.REQUESTS] += 1
        words[stats.HISTOGRAM + stats.bucket(latency)] += 1
        words[stats.LATENCY] += latency
    words[stats.IN_FLIGHT] = 2
    seen = reader.read()
    page.close()
    page.close()
    assert (seen.heartbeat, seen.requests, seen.in_flight, seen.latency) == (5.0, 3, 2, 0.1003)
    assert seen.percentile(0.5) == pytest.approx(0.0002, rel=0.07)
    assert seen.percentile(0.99) == pytest.approx(0.1, rel=0.07)
    assert reader.read().requests == 3
    reader.close()


def test_together():
    both = Numbers(1.0, 2, 1, 1, 1, 0.5, 1, 2, (1, 0, 3)).plus(Numbers(2.0, 1, 0, 0, 2, 0.25, 2, 1, (1,)))
    assert both == Numbers(0.0, 3, 1, 1, 3, 0.75, 0, 3, (2, 0, 3))
    assert both.at_rest().in_flight == both.at_rest().connections == 0
    assert Numbers().percentile(0.5) is None


def test_counting_is_cheap():
    page = Page.make()
    words = page.words
    began = time.process_time()
    for _ in range(10_000):
        words[stats.REQUESTS] += 1
        words[stats.HISTOGRAM + stats.bucket(1234)] += 1
    spent = time.process_time() - began
    page.close()
    assert spent < 1.0  # 0.01 s; a message for each would take 0.2 s


def test_silence_counts_only_while_somebody_looks():
    silence = Silence()
    assert silence.look(0, 0.0, period=1.0) == 0
    assert silence.look(0, 1.0, period=1.0) == 1.0
    assert not silence.is_known
    assert silence.look(7.0, 2.0, period=1.0) == 0
    assert silence.is_known
    assert silence.look(7.0, 3.0, period=1.0) == 1.0
    assert silence.look(7.0, 1003.0, period=1.0) == 3.0  # this process was stopped itself
    assert silence.look(8.0, 1004.0, period=1.0) == 0
    silence.look(8.0, 1005.0, period=1.0)
    silence.heard()
    assert silence.seconds == 0


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts(), ""),
        (Facts(requests=10, limit=11), ""),
        (Facts(requests=11, limit=11), "it has served 11 requests"),
        (Facts(uptime=59.0, lifetime=60.0), ""),
        (Facts(uptime=60.0, lifetime=60.0), "it has run for 60 s"),
        (Facts(memory=300 << 20, max_memory=300 << 20), ""),
        (Facts(memory=301 << 20, max_memory=300 << 20), "it uses 301 MiB of memory, max_memory is 300 MiB"),
        (Facts(memory=None, max_memory=1), ""),
        (Facts(wants_replacement=True), "a request took too long, and its thread cannot be ended"),
    ],
)
def test_who_is_to_be_replaced(facts, why):
    assert why_replace(facts) == why
