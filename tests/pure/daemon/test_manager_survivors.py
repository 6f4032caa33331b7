"""Who is a copy from before, who a stray, and which numbers are used up."""

from __future__ import annotations

import asyncio
import os
import subprocess
from types import SimpleNamespace

import pytest

from capabilities import needs_linux
from rookery import errors
from rookery._os import kernel
from rookery._os.linux import ProcessFacts
from rookery.apps.state import SavedApp, SavedCopy, SavedInstance, SavedState
from rookery.config.spec import AppSpec
from rookery.daemon.manager import survivors
from rookery.daemon.manager.survivors import carriers, highest_generations, newest, of_copy_name, orphans, sort_out
from rookery.testing import wait_until


def child(key, generation, ended=False):
    return {"key": key, "generation": generation, "ended_at": 1.0 if ended else None, "pid": 100 + generation}


def test_the_newest_child_is_the_running_one_of_the_highest_generation():
    best, others = newest([child("4", 2), child("4", 1, ended=True), child("5", 7, ended=True), child("5", 6)])
    assert {key: one["generation"] for key, one in best.items()} == {"4": 2, "5": 6}
    assert [(one["key"], one["generation"]) for one in others] == [("4", 1), ("5", 7)]


def test_two_that_run():
    best, others = newest([child("4", 2), child("4", 3)])
    assert (best["4"]["generation"], others[0]["generation"]) == (3, 2)


def sorted_out(children, *, bind=("127.0.0.1:0",), generation=3):
    spec = AppSpec(name="web", command=("/bin/x",), cwd="/", bind=bind)
    state = SavedState(scope="s", boot_id="b", epoch=1, next_id=9, saved_at=1.0)
    state.apps = [SavedApp(name="web", spec=spec, base_env={}, desired="running", created=1.0)]
    state.instances = [saved(generation=generation)]
    best, beside, strangers = sort_out(children, state)
    return (
        {key: one["generation"] for key, one in best.items()},
        {key: [one["generation"] for one in found] for key, found in beside.items()},
        [(one["key"], one["generation"]) for one in strangers],
    )


def test_of_a_clustered_app_several_run_and_the_one_that_is_written_down_has_the_place():
    assert sorted_out([child("4", 2), child("4", 3), child("4", 4)]) == ({"4": 3}, {"4": [2, 4]}, [])


def test_the_newest_has_the_place_where_that_one_has_gone():
    assert sorted_out([child("4", 2), child("4", 3, ended=True), child("4", 4)]) == ({"4": 4}, {"4": [2]}, [("4", 3)])


def test_of_other_apps_one_runs():
    assert sorted_out([child("4", 3), child("4", 4)], bind=()) == ({"4": 4}, {}, [("4", 3)])


def test_nobody_knows_it():
    assert sorted_out([child("7", 1)]) == ({}, {}, [("7", 1)])


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("log/4/7/out", ("4", 7)),
        ("page/4/7", ("4", 7)),
        ("pass/4/7/12/ours", ("4", 7)),
        ("notify/4/7", ("4", 7)),
        ("notify/4", None),
        ("control", None),
        ("log/4/x/out", None),
        ("log/4/7", None),
        ("listen/4/7/x", None),
        ("", None),
    ],
)
def test_names_of_pipes(name, identity):
    assert of_copy_name(name) == identity


def test_the_highest_generation_that_left_a_trace():
    assert highest_generations(["log/4/2/out", "log/4/3/err", "control"], [("4", 1), ("5", 9)]) == {"4": 3, "5": 9}


@pytest.fixture
def carrier():
    """A process that carries a cookie; it ends with its stdin."""
    running = []

    def start(cookie, *, session=True):
        process = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, env={"ROOKERY_UNIT": cookie}, start_new_session=session
        )
        running.append(process)
        wait_until(lambda: kernel.environ_value(process.pid, "ROOKERY_UNIT") == cookie, 10, "its environment")
        return process

    yield start
    for process in running:
        process.stdin.close()
        process.wait()


@needs_linux
def test_carriers_of_our_scope(carrier):
    mine, also, _ = carrier("feedf00d:4:1"), carrier("feedf00d:4:2"), carrier("feedf00e:4:1")
    found = carriers("feedf00d")
    assert {identity: [one.pid for one in facts] for identity, facts in found.items()} == {
        ("4", 1): [mine.pid],
        ("4", 2): [also.pid],
    }


@needs_linux
@pytest.mark.parametrize("value", ["", ":", "feedf00d", "feedf00d:4", "feedf00d:4:x", "feedf00d::1", "feedf00d:4:-1"])
def test_a_cookie_that_is_none_is_nobodys(carrier, value):
    carrier(value or " ")
    assert carriers("feedf00d") == {}


def facts(pid, start_time=10, session=None):
    return ProcessFacts(pid, 1, pid, pid if session is None else session, "S", start_time, 0, 0, "x")


def found(saved, carrying=(), children=()):
    state = SavedState(scope="s", boot_id="b", epoch=1, next_id=9, saved_at=1.0, instances=[saved])
    survivors = orphans(state, dict.fromkeys(children, None), dict(carrying), 1_700_000_000.0)
    return {one.unit: (one.pid, one.generation) for one in survivors}


def saved(**fields):
    return SavedInstance(**{"id": 4, "app": "web", "index": 0, "generation": 3, "state": "running", **fields})


US = os.getpid()


def test_what_the_state_names_and_lives():
    assert found(saved(pid=US, start_time=kernel.start_time(US))) == {"4": (US, 3)}


def test_a_pid_that_is_used_again_is_no_survivor():
    assert found(saved(pid=US, start_time=1)) == {}


def test_what_the_keeper_has_is_no_orphan():
    assert found(saved(pid=US, start_time=kernel.start_time(US)), children=["4"]) == {}


def test_a_copy_beside_that_lives():
    beside = SavedCopy(generation=2, pid=US, start_time=kernel.start_time(US))
    assert found(saved(pid=999_999, start_time=1, beside=[beside])) == {"4": (US, 2)}


def test_a_copy_that_was_never_written_down():
    assert found(saved(state="backoff"), {("4", 4): [facts(50)]}.items()) == {"4": (50, 4)}
    assert found(saved(state="starting"), {("4", 3): [facts(50)]}.items()) == {"4": (50, 3)}


@pytest.mark.parametrize(
    ("state", "generation", "session"),
    [("running", 3, None), ("backoff", 3, None), ("stopped", 2, None), ("backoff", 4, 49)],
    ids=["of-the-dead-copy", "of-the-ended-copy", "of-an-older-copy", "no-leader"],
)
def test_what_a_copy_left_behind_is_not_taken_for_a_copy(state, generation, session):
    instance = saved(state=state, pid=999_999 if state == "running" else None, start_time=1)
    assert found(instance, {("4", generation): [facts(50, session=session)]}.items()) == {}


def test_of_two_the_higher_generation_and_of_one_generation_the_elder():
    carrying = {("4", 4): [facts(50)], ("4", 5): [facts(61, 30), facts(60, 20)]}
    assert found(saved(state="backoff"), carrying.items()) == {"4": (60, 5)}


class PaperHandle:
    def __init__(self, key):
        self.key, self.is_closed = key, False

    def close(self):
        self.is_closed = True


async def test_all_are_ended_at_once_and_one_that_stays_holds_nobody_up(monkeypatch, caplog):
    handles = {key: PaperHandle(key) for key in "4567"}
    is_last_told = asyncio.Event()

    async def stop(handle, *_):
        if handle.key == "4":
            raise errors.StopFailed([104], 1.0)
        if handle.key == "6":
            is_last_told.set()
        await asyncio.wait_for(is_last_told.wait(), 10)

    monkeypatch.setattr(survivors, "stop", stop)
    keeper = SimpleNamespace(scope="feedf00d", handle=lambda one: handles[one["key"]], tree=lambda *_: None)
    children = [child("4", 1), child("5", 1), child("6", 1), child("7", 1, ended=True)]
    await survivors.end_children(keeper, None, children)
    assert {key: one.is_closed for key, one in handles.items()} == {"4": False, "5": True, "6": True, "7": True}
    assert "could not be ended" in caplog.text


@needs_linux
async def test_one_stray_that_stays_holds_no_other_up(monkeypatch, caplog):
    told = []

    async def sweep(tree, _):
        told.append(tree)
        if len(told) == 1:
            raise errors.StopFailed([50], 1.0)

    monkeypatch.setattr(survivors, "sweep", sweep)
    strays = {("4", 1): [facts(50, session=49)], ("5", 1): [facts(60, session=49)]}
    await survivors.end_strays("feedf00d", None, strays)
    assert len(told) == 2
    assert "could not be ended" in caplog.text
