"""What a Node worker says is written to its page; what its app says is left alone."""

from __future__ import annotations

import pytest

from rookery.cluster import stats
from rookery.cluster.node import launch, words

NUMBERS = {"requests": 7, "errors": 1, "inFlight": 2, "connections": 3, "accepted": 9, "latency": 5000}


@pytest.fixture
def page():
    page = stats.Page.make()
    yield page
    page.close()


def said(what, **fields):
    return {"type": "rookery.node", "what": what, "pid": 1, **fields}


@pytest.mark.parametrize(
    "message", [None, 1, "ready", ["ready"], {}, {"type": "ready"}, {"what": "ready"}, {"type": 1}]
)
def test_the_apps_own_messages(message, page):
    assert words.heard(message, page) is None


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (said("ready"), {"READY": "1"}),
        (said("listening", asked=3000), {}),
        (said("draining", why="SIGTERM"), {"STOPPING": "1"}),
        (said("drained", left=0), {}),
        (said("stats", **NUMBERS, histogram=[]), {"WATCHDOG": "1"}),
        (said("of a later version"), {}),
    ],
)
def test_its_words(message, meaning, page):
    assert words.heard(message, page) == meaning
    assert words.heard(message, None) == meaning


def test_numbers_are_totals_and_the_histogram_is_added_up(page):
    for count in (1, 2):
        words.heard(said("stats", **NUMBERS, histogram=[[0, count], [40, 5], [10_000, 1]]), page)
    read = page.read()
    assert (read.requests, read.errors, read.in_flight, read.connections, read.accepted) == (7, 1, 2, 3, 9)
    assert read.latency == 0.005
    assert (read.histogram[0], read.histogram[40], read.histogram[stats.BUCKETS - 1]) == (3, 10, 2)
    assert read.heartbeat > 0


@pytest.mark.parametrize("fields", [{}, {**NUMBERS, "histogram": None}, {**NUMBERS, "requests": -1}, {"requests": "7"}])
def test_a_forged_message_does_no_harm(fields, page):
    assert words.heard(said("stats", **fields), page) == {"WATCHDOG": "1"}


@pytest.mark.parametrize(
    ("why", "flags"), [("SIGTERM", stats.IS_DRAINING), ("disconnect", stats.IS_DRAINING | stats.WANTS_REPLACEMENT)]
)
def test_who_leaves_by_its_own_wish_wants_a_successor(why, flags, page):
    words.heard(said("draining", why=why), page)
    assert page.read().flags == flags


def test_options_of_node_are_kept_and_a_path_may_hold_anything(monkeypatch):
    monkeypatch.setattr(launch, "PRELOAD", '/a "b"\\c/preload.cjs')
    assert launch.preloading(None) == '--require "/a \\"b\\"\\\\c/preload.cjs"'
    assert launch.preloading("--trace-warnings").startswith('--trace-warnings --require "')
