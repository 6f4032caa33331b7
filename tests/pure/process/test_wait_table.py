"""The wait table against pids that are used again at once."""

import asyncio

import pytest

from rookery._os import kernel
from rookery.lifecycle.exit import ExitStatus
from rookery.process.reaper import WaitTable
from rookery.process.spawn import Spawned


@pytest.fixture
def flag(monkeypatch):
    """The subreaper flag on paper."""
    state = {"on": False}
    monkeypatch.setattr(kernel, "is_subreaper", lambda: state["on"])
    monkeypatch.setattr(kernel, "set_subreaper", lambda on: state.update(on=on))
    return state


async def test_a_late_settlement_does_not_remove_the_next_child_of_the_same_pid(flag, monkeypatch):
    # The thread reaps, and tells the loop; before the loop has its turn the pid is another child's.
    monkeypatch.setattr(WaitTable, "_start_thread", lambda self: None)
    table = WaitTable()
    loop = asyncio.get_running_loop()
    first = table.add(Spawned(77, -1, 1000), loop)
    table._remove(first)
    assert flag == {"on": False}
    second = table.add(Spawned(77, -1, 1001), loop)
    table._settle(first, ExitStatus(code=1))
    assert table.alive() == [77]
    assert table._entries[77] is second
    assert flag == {"on": True}
    assert first.exit.result() == ExitStatus(code=1)
    table._settle(second, ExitStatus(code=2))
    assert (table.alive(), flag) == ([], {"on": False})
    assert second.exit.result() == ExitStatus(code=2)


async def test_a_process_that_was_a_subreaper_before_stays_one(flag, monkeypatch):
    monkeypatch.setattr(WaitTable, "_start_thread", lambda self: None)
    flag["on"] = True
    table = WaitTable()
    entry = table.add(Spawned(77, -1, 1000), asyncio.get_running_loop())
    table._settle(entry, ExitStatus())
    assert flag == {"on": True}


async def test_children_of_the_table_are_never_taken_for_strays(flag, monkeypatch):
    monkeypatch.setattr(WaitTable, "_start_thread", lambda self: None)
    table = WaitTable()
    table.add(Spawned(77, -1, 1000), asyncio.get_running_loop())
    monkeypatch.setattr(kernel, "adopted", lambda: [77])
    monkeypatch.setattr(kernel, "facts", lambda pid: pytest.fail("looked at"))
    table.reap_strays(lambda stray: True)
