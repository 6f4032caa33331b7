from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.pool.rules.status import Ledger, TaskCounts, WorkerCounts, WorkerStatus

ENDS = ("completed", "failed", "timed_out", "cancelled")


def status_of(ledger, now=10.0, rows=()):
    return ledger.status(now, name="images", state="running", rows=rows)


@given(
    ends=st.lists(
        st.tuples(st.sampled_from([*ENDS, "retried"]), st.floats(0, 100), st.floats(0, 100), st.booleans()),
        max_size=60,
    ),
    more=st.integers(0, 20),
    running=st.integers(0, 30),
)
@settings(max_examples=200, deadline=None)
def test_every_task_is_somewhere_and_nowhere_twice(ends, more, running):
    ledger = Ledger(0.0)
    ledger.submitted(more)
    attempts = []
    for end, wait, run, began in ends:
        if end != "retried":
            ledger.submitted()
        if began or end == "completed":
            getattr(ledger, end)(wait, run)
            attempts.append((wait, run))
        else:
            getattr(ledger, end)()
    rows = [WorkerStatus(f"w{i}", "busy", running_for=1.0) for i in range(running)]
    tasks = status_of(ledger, rows=rows).tasks
    assert tasks.total == tasks.completed + tasks.failed + tasks.cancelled + tasks.queued + tasks.running
    assert tasks.queued + tasks.running == more == ledger.pending
    assert tasks.running == min(running, more)
    kinds = [end for end, *_ in ends]
    assert tasks.timed_out == kinds.count("timed_out")
    assert tasks.failed == kinds.count("timed_out") + kinds.count("failed")
    assert tasks.retried == kinds.count("retried")
    status = status_of(ledger)
    ended = tasks.completed + tasks.failed
    assert status.success_rate == (tasks.completed / ended if ended else None)
    assert status.wait.count == status.run.count == len(attempts)
    if attempts:
        assert status.wait.mean == pytest.approx(sum(wait for wait, _ in attempts) / len(attempts))
        assert status.run.max == max(run for _, run in attempts)


def test_the_success_rate_does_not_see_what_still_waits():
    ledger = Ledger(0.0)
    ledger.submitted(100)
    assert status_of(ledger).success_rate is None
    ledger.completed(0.0, 1.0)
    ledger.completed(0.0, 1.0)
    ledger.completed(0.0, 1.0)
    ledger.failed(0.0, 1.0)
    ledger.cancelled()
    assert status_of(ledger).success_rate == 0.75


def test_utilisation_is_busy_time_by_worker_time():
    ledger = Ledger(100.0)
    assert status_of(ledger, now=100.0).utilisation == 0.0
    ledger.workers(2, 100.0)
    ledger.submitted(2)
    ledger.completed(0.0, 5.0)
    assert status_of(ledger, now=110.0).utilisation == 5 / 20
    running = [WorkerStatus("w1", "busy", running_for=5.0), WorkerStatus("w2", "idle")]
    assert status_of(ledger, now=110.0, rows=running).utilisation == 10 / 20
    ledger.workers(0, 110.0)
    assert status_of(ledger, now=1000.0).utilisation == 5 / 20  # no workers, no worker time
    ledger.workers(1, 1000.0)
    assert status_of(ledger, now=1020.0).utilisation == 5 / 40


def test_a_burst_of_tasks_holds_no_memory():
    ledger = Ledger(0.0)
    for _ in range(10_000):
        ledger.submitted()
        ledger.completed(0.001, 0.002)
    assert len(ledger._wait._values) < 1024
    assert len(ledger._run._values) < 1024
    assert status_of(ledger).wait.count == 10_000


ROWS = (
    WorkerStatus("w1", "busy", 4711, "resize(cat.png)", 1.5, 20, 1, 50 * 1024**2, 99.6, 65.0, 2),
    WorkerStatus("w2", "idle", 4712, tasks=3, uptime=3.0),
    WorkerStatus("w3", "starting"),
    WorkerStatus("w4", "stopping", 4714, "x" * 60, 0.25),
)


def test_the_workers_are_counted_by_their_rows():
    ledger = Ledger(0.0)
    ledger.submitted(5)
    status = status_of(ledger, rows=ROWS)
    assert status.workers == WorkerCounts(total=4, available=1, busy=1, starting=1, stopping=1)
    # The one that is to stop ends its task first.
    assert status.tasks == TaskCounts(total=5, queued=3, running=2)


def test_for_json():
    ledger = Ledger(0.0)
    ledger.submitted(2)
    ledger.completed(0.5, 2.0)
    told = json.loads(json.dumps(status_of(ledger, rows=ROWS).to_dict()))
    assert told["workers"] == {"total": 4, "available": 1, "busy": 1, "starting": 1, "stopping": 1}
    assert told["tasks"]["completed"] == 1
    assert told["run"]["p99"] == pytest.approx(2.0, rel=0.05)
    assert told["rows"][0]["task"] == "resize(cat.png)"
    assert told["rows"][1]["rss"] is None
    assert set(told["rows"][0]) >= {
        "pid",
        "name",
        "state",
        "task",
        "tasks",
        "errors",
        "rss",
        "cpu",
        "uptime",
        "restarts",
    }


def test_for_people():
    ledger = Ledger(0.0)
    ledger.submitted(5)
    ledger.completed(0.0005, 2.0)
    lines = str(status_of(ledger, rows=ROWS)).splitlines()
    of_tasks = "1 completed, 0 failed of which 0 timed out, 0 cancelled, 2 queued, 2 running"
    assert lines[:5] == [
        "pool images: running, up 10s",
        "workers: 4 (1 busy, 1 available, 1 starting, 1 stopping), utilisation 0%",
        f"tasks: 5 ({of_tasks}), 0 retried, success 100.0%",
        "wait: p50 500us, p90 500us, p99 500us, mean 500us, max 500us",
        "run:  p50 2s, p90 2s, p99 2s, mean 2s, max 2s",
    ]
    assert " ".join(lines[5].split()) == "pid name state task for tasks errors rss cpu uptime restarts"
    assert " ".join(lines[6].split()) == "4711 w1 busy resize(cat.png) 1.5s 20 1 50.0M 100% 1m5s 2"
    assert lines[8].split()[:3] == ["-", "w3", "starting"]
    assert "x" * 39 + "…" in lines[9]
    assert "x" * 40 not in lines[9]
    assert len({len(line) for line in lines[5:]}) == 1  # the last column ends where its title does


def test_for_people_before_anything_happened():
    assert str(status_of(Ledger(0.0), now=0.0)).splitlines()[3:] == [
        "wait: p50 -, p90 -, p99 -, mean -, max -",
        "run:  p50 -, p90 -, p99 -, mean -, max -",
    ]
