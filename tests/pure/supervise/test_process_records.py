"""The record of a process and the registry of records: no process in sight."""

from __future__ import annotations

import json

import pytest

from rookery.errors import ImpossibleTransition, UnknownProcess, UsageError
from rookery.lifecycle.exit import ExitStatus
from rookery.process.result import Result
from rookery.supervise.process_record import ProcessRecord, Status
from rookery.supervise.process_registry import Registry


def record(kind="run"):
    return ProcessRecord("one", kind, "true", 10.0)


def result(**facts):
    return Result(("true",), 1, 0, None, 0.1, "", "", **facts)


@pytest.mark.parametrize(
    ("returncode", "facts", "status", "reason"),
    [
        (0, {}, "exited", ""),
        (3, {}, "exited", ""),
        (-9, {}, "killed", ""),
        (-15, {"cancelled": True}, "killed", "it was stopped"),
        (0, {"cancelled": True}, "killed", "it was stopped"),
        (-15, {"timed_out": "timeout", "limit": 30}, "killed", "its time was over"),
        (0, {"timed_out": "idle_timeout", "limit": 1}, "killed", "it was silent for too long"),
        (-15, {"truncated": True, "limit": 5}, "killed", "it wrote too much"),
        (0, {"truncated": True}, "exited", ""),
        (None, {}, "exited", ""),
    ],
)
def test_how_it_ends(returncode, facts, status, reason):
    one = record()
    one.running()
    assert not one.is_over
    one.exited(ExitStatus.from_returncode(returncode), 20.0)
    assert one.is_over
    one.closed(result(**facts))
    assert (one.status, one.reason, one.ended_at) == (status, reason, 20.0)
    assert (one.exit_code is None) == (returncode is None or returncode < 0)


def test_a_start_that_fails_is_no_end_like_another():
    one = record("fork")
    one.exited(ExitStatus.from_returncode(1), 11.0)  # before it was ready
    assert one.status == "starting"
    one.failed("it was not ready", 12.0)
    assert (one.status, one.reason, one.is_over) == ("failed-to-start", "it was not ready", True)
    one.closed(result(cancelled=True))
    assert one.status is Status.FAILED_TO_START
    with pytest.raises(ImpossibleTransition):
        one.running()


def test_nothing_runs_again():
    one = record()
    one.running()
    one.exited(ExitStatus.from_returncode(0), 1.0)
    with pytest.raises(ImpossibleTransition):
        one.running()
    with pytest.raises(ImpossibleTransition):
        one.failed("late", 1.0)


def test_messages_and_output_are_bounded_and_plain():
    one = record("fork")
    for number in range(150):
        one.message("sent" if number % 2 else "received", {"n": number, "big": "x" * 100_000}, 1.0)
    one.stdout.take("ü".encode() * 100_000)
    facts = json.loads(json.dumps(one.facts()))
    assert (facts["sent"], facts["received"], len(facts["messages"])) == (75, 75, 100)
    assert len(json.dumps(facts)) < 150_000
    assert facts["messages"][-1]["way"] == "sent"
    assert "'n': 149" in facts["messages"][-1]["text"]


def test_ids():
    registry = Registry(10, lambda _: None)
    assert [registry.add("run", "a", 1.0).id, registry.add("fork", "b", 1.0).id] == ["run-1", "fork-2"]
    assert registry.add("run", "c", 1.0, id="fork-3").id == "fork-3"
    assert registry.add("fork", "d", 1.0).id == "fork-4"
    with pytest.raises(UsageError, match="'run-1' already"):
        registry.add("run", "e", 1.0, id="run-1")
    with pytest.raises(UnknownProcess) as caught:
        registry.get("run-7")
    assert "run-1" in caught.value.hint
    assert len(registry) == 4


def test_the_oldest_of_the_ended_make_room():
    removed = []
    registry = Registry(3, removed.append)
    living = registry.add("spawn", "lives", 1.0)
    living.running()
    for number in range(5):
        registry.add("run", str(number), 1.0).failed("", 1.0)
    assert [one.command for one in registry] == ["lives", "3", "4"]
    assert [one.command for one in removed] == ["0", "1", "2"]
    assert [one.command for one in registry.remove_ended()] == ["3", "4"]
    assert list(registry) == [living]
