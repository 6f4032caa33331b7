"""Script workers that die, hang, or say what they should not."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest
from script_pools import LANGUAGES, PLAIN, PROGRAMS, events_of, odd, pool_of

from capabilities import DEADLINE, needs_node
from rookery._os import kernel
from rookery.errors import RemoteError, TaskTimeout, WorkerDied, WorkerStartFailed
from rookery.pool import ProcessPool
from rookery.pool.scripts.member import ScriptMember
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


def kill_one_at_work(pool):
    """SIGKILL to the first worker that is at a task."""
    row = wait_until(lambda: next((r for r in pool.status().rows if r.task), None), DEADLINE, "a worker at work")
    os.kill(row.pid, signal.SIGKILL)


def has_gone(pool, pid):
    """Whether that one is none of the pool's workers."""
    return all(row.pid != pid for row in pool.status().rows)


def test_kill_9_in_500_tasks_fails_only_the_one_that_ran(language):
    with pool_of(language) as pool:
        futures = [pool.submit("sleep", 0.003) for _ in range(500)]
        futures[100].result(DEADLINE)
        kill_one_at_work(pool)
        futures[300].result(DEADLINE)
        kill_one_at_work(pool)
        errors = [error for future in futures if (error := future.exception(DEADLINE))]
        assert len(errors) <= 2
        assert all(isinstance(error, WorkerDied) and error.signal == "SIGKILL" for error in errors)
        status = pool.status()
        assert (status.tasks.completed, status.tasks.failed) == (500 - len(errors), len(errors))
        wait_until(lambda: pool.status().workers.available == 2, DEADLINE, "two workers again")


@pytest.mark.parametrize(
    ("task", "code", "name"), [("leave", 0, None), ("leave", 3, None), ("abort", None, "SIGABRT")], ids=str
)
def test_a_worker_that_ends_in_its_task(language, task, code, name):
    with pool_of(language, 1) as pool:
        error = pool.submit(task, code).exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert (error.code, error.signal) == (code, name)
        if task == "leave":
            assert error.stderr == "leaving"
            assert "leaving" in str(error)
        assert pool.submit("echo", 1).result(DEADLINE) == 1
        assert pool.status().workers.total == 1


def test_retries_after_a_death(language):
    with pool_of(language, 1) as pool:
        retried = events_of(pool, "task_retried")
        error = pool.options(retries=2).submit("leave", 1).exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert len(retried) == 2
        assert pool.status().tasks.retried == 2
        assert isinstance(pool.options(retries=1).submit("boom").exception(DEADLINE), RemoteError)


@pytest.mark.parametrize("plain", PLAIN)
def test_a_plain_script_that_dies_or_hangs(plain):
    with pool_of(plain, 1) as pool:
        error = pool.submit("die").exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert error.code == 7
        assert isinstance(pool.options(timeout=0.1).submit("spin").exception(DEADLINE), TaskTimeout)
        assert pool.submit("well").result(DEADLINE)["got"] == "well"


def test_a_time_limit_ends_the_task_and_the_queue_does_not_count(language):
    with pool_of(language, 1) as pool:
        timed_out = events_of(pool, "task_timed_out")
        late, fine = pool.options(timeout=0.8).submit("sleep", 600), pool.options(timeout=0.8).submit("sleep", 0.01)
        assert isinstance(late.exception(DEADLINE), TaskTimeout)
        assert fine.result(DEADLINE) == 0.01
        assert [event.task for event in timed_out] == ["sleep (number 1)"]
        assert pool.status().tasks.timed_out == 1


@needs_node
def test_a_time_limit_ends_what_blocks_its_event_loop():
    with pool_of({"script": PROGRAMS / "tasks.js"}, 1) as pool:
        assert isinstance(pool.options(timeout=0.1).submit("spin").exception(DEADLINE), TaskTimeout)
        assert pool.submit("echo", 1).result(DEADLINE) == 1


def test_a_deadline_counts_the_queue(language):
    with pool_of(language, 1) as pool:
        first = pool.submit("sleep", 0.5)
        second = pool.options(deadline=0.1).submit("echo")
        assert isinstance(second.exception(DEADLINE), TaskTimeout)
        assert first.result(DEADLINE) == 0.5


def test_a_running_task_is_cancelled(language):
    with pool_of(language, 1) as pool:
        running, waiting = pool.submit("sleep", 600), pool.submit("echo", 1)
        wait_until(running.running, DEADLINE, "the task")
        assert not running.cancel()
        assert running.cancel(running=True)
        assert running.cancelled()
        assert waiting.result(DEADLINE) == 1
        gone = pool.submit("sleep", 0.6)
        assert pool.submit("echo").cancel()
        assert gone.result(DEADLINE) == 0.6
        assert pool.status().tasks.cancelled == 2


async def test_cancelling_what_awaits_a_task_ends_it(language):
    async with ProcessPool(1, **language) as pool:
        before = await pool.run("pid")
        started = events_of(pool, "task_started")
        task = pool.run("sleep", 600)
        while not started:
            await pool.asked_status(0.01)
        task.cancel()
        assert await pool.run("pid") != before


def test_what_a_task_has_started_ends_with_its_worker(language):
    with pool_of(language, 1) as pool:
        child = pool.submit("child").result(DEADLINE)
        started = kernel.start_time(child)
        assert isinstance(pool.submit("leave", 0).exception(DEADLINE), WorkerDied)
        wait_until(lambda: not kernel.is_alive(child, started), DEADLINE, "the end of the child")
        other = pool.submit("child").result(DEADLINE)
        started = kernel.start_time(other)
    assert not kernel.is_alive(other, started)


def test_sigterm_loses_no_running_work():
    for args in ([], ["async"]):
        with pool_of({"script": PROGRAMS / "tasks.py", "script_args": args}, 1) as pool:
            first = pool.submit("stop_me", 0.1).result(DEADLINE)
            wait_until(lambda pids=(pool, first): has_gone(*pids), DEADLINE, "its end")
            for _ in range(8):
                os.kill(pool.submit("pid").result(DEADLINE), signal.SIGTERM)  # idle: it leaves at once
                assert pool.submit("pid").result(DEADLINE)
            status = pool.status()
            assert (status.tasks.failed, status.tasks.retried) == (0, 0)


def test_too_many_errors_in_a_row_replace_a_worker(language):
    with pool_of(language, 1, max_errors=2) as pool:
        first = pool.submit("pid").result(DEADLINE)
        assert [bool(pool.submit(name).exception(DEADLINE)) for name in ("boom", "boom", "echo", "boom", "boom")]
        assert pool.submit("pid").result(DEADLINE) == first
        for _ in range(3):
            pool.submit("boom").exception(DEADLINE)
        assert pool.submit("pid").result(DEADLINE) != first


def test_after_so_many_tasks_a_worker_is_replaced(language):
    with pool_of(language, 1, max_tasks_per_worker=3) as pool:
        pids = list(pool.map("pid", range(9)))
    assert [len(set(pids[at : at + 3])) for at in (0, 3, 6)] == [1, 1, 1]
    assert len(set(pids)) == 3


def test_memory_limits():
    worker = {"script": PROGRAMS / "tasks.py"}
    with pool_of(worker, 1, max_memory="120M") as pool:
        error = pool.submit("grow", 150).exception(DEADLINE) or pool.submit("sleep", 600).exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert "max_memory" in error.reason
        assert pool.submit("pid").result(DEADLINE) != error.pid
    with pool_of(worker, 1, soft_memory="120M") as pool:
        exited = events_of(pool, "worker_exited")
        assert pool.submit("grow", 150).result(DEADLINE) == 150 << 20
        wait_until(lambda: exited, DEADLINE, "the end of the fat worker")
        assert "soft_memory" in exited[0].reason
        assert pool.status().tasks.failed == 0


def test_what_workers_print_is_kept_bounded_and_never_blocks_them(language):
    with pool_of(language, 1) as pool:
        assert pool.submit("print", 20_000).result(DEADLINE) == 20_000
        (row,) = pool.status().rows
        wait_until(lambda: "out 19999 " in pool.output(row.name).stdout, DEADLINE, "the last line")
        wait_until(lambda: pool.output(row.name).stderr.endswith("err 19999\n"), DEADLINE, "the last line")
        output = pool.output(row.name)
        assert len(output.stdout) <= 64 * 1024
        assert len(output.stderr) <= 64 * 1024
        assert output.ignored == 0
        error = pool.submit("leave", 1).exception(DEADLINE)
        assert error.stderr.splitlines()[-2:] == ["err 19999", "leaving"]
        assert pool.output(row.name).stderr.endswith("leaving\n") or pool.status().rows[0].name == row.name


# -- workers that keep to the protocol only just ----------------------------------------------------------------------


@needs_node
@pytest.mark.parametrize(
    ("how", "tasks", "ignored"),
    [
        ("ready_twice", 0, 2),
        ("answer_before_ready", 0, 1),
        ("garbage_first", 0, 11),
        ("garbage", 2, 22),
        ("twice", 2, 4),
        ("previous", 2, 4),
    ],
)
def test_messages_that_mean_nothing_are_ignored_and_counted(how, tasks, ignored):
    with odd(how) as pool:
        assert list(pool.map("any", range(tasks))) == list(range(tasks))
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "an idle worker")
        (row,) = pool.status().rows
        wait_until(lambda: pool.output(row.name).ignored >= ignored, DEADLINE, f"{ignored} of them")
        assert pool.output(row.name).ignored == ignored
        assert (row.restarts, row.errors) == (0, 0)


@needs_node
def test_answers_that_are_written_otherwise():
    with odd("float") as pool:
        assert pool.submit("any", 5).result(DEADLINE) == 5
    with odd("no_result") as pool:
        assert pool.submit("any").result(DEADLINE) is None
    with odd("bare_error") as pool:
        for told, kind, text in [
            ("a text", "Error", "a text"),
            (None, "Error", ""),
            ({"message": {"a": 1}}, "Error", "{'a': 1}"),
            ({"name": "E", "message": "m", "stack": "s"}, "E", "m"),
            ([1], "Error", "[1]"),
        ]:
            error = pool.submit("any", told).exception(DEADLINE)
            assert (error.kind, error.text) == (kind, text)


@needs_node
def test_error_and_exit_together_replace_a_worker_once():
    with odd("error_and_exit") as pool:
        created = events_of(pool, "worker_created")
        errors = [pool.submit("any").exception(DEADLINE) for _ in range(5)]
        assert all(isinstance(error, RemoteError) for error in errors)
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "a worker")
        assert len(created) <= 6
        assert pool.status().workers.total == 1


@needs_node
@pytest.mark.parametrize("how", ["exit_after", "one_each"])
def test_a_task_that_a_leaving_worker_has_not_read_goes_to_another(how):
    with odd(how, 2) as pool:
        assert list(pool.map("any", range(20))) == list(range(20))
        status = pool.status()
        assert (status.tasks.failed, status.tasks.retried) == (0, 0)


@needs_node
@pytest.mark.parametrize(("how", "why"), [("closes", "closed its channel"), ("no_lines", "no message")])
def test_a_worker_without_a_channel_is_replaced(how, why):
    with odd(how, graceful_timeout=1) as pool:
        error = pool.submit("any").exception(DEADLINE)
        assert isinstance(error, WorkerDied)
        assert why in error.reason
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "another worker")


@needs_node
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("never_ready", "not ready within"),
        ("throws", "at the start"),
        ("leaves", "exited with code 3"),
        ("ready_and_out", ""),
    ],
)
def test_a_script_that_does_not_start_is_no_retry_storm(how, why):
    with odd(how, 2, start_timeout=1 if how == "never_ready" else DEADLINE) as pool:
        created = events_of(pool, "worker_created")
        errors = [pool.submit("any").exception(3 * DEADLINE) for _ in range(1)]
        assert all(isinstance(error, WorkerStartFailed) and why in str(error) for error in errors)
        assert len(created) <= 6


def test_a_script_of_the_plain_protocol_that_does_not_start(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise ValueError('at the start')")
    with pool_of({"script": script, "protocol": "plain"}, 1) as pool:
        error = pool.submit(1).exception(DEADLINE)
        assert isinstance(error, WorkerStartFailed)
        assert "at the start" in str(error)


def test_an_interpreter_that_is_not_there():
    with ProcessPool(1, script=PROGRAMS / "tasks.js", interpreter="/nowhere/node") as pool:
        assert isinstance(pool.submit("echo").exception(DEADLINE), WorkerStartFailed)


def test_nothing_piles_up_where_workers_are_replaced_again_and_again():
    with pool_of({"script": PROGRAMS / "tasks.py"}, 1, max_tasks_per_worker=1) as pool:
        pids = list(pool.map("pid", range(15)))
        assert len(set(pids)) == 15
        wait_until(lambda: pool.status().workers.available == 1, DEADLINE, "an idle worker")
        gc.collect()
        members = [
            one for one in gc.get_objects() if isinstance(one, ScriptMember) and one._engine is pool._house.engine
        ]
        assert len(members) <= 4
        timers = [one for one in pool._house._loop._scheduled if not one.cancelled()]
        assert len(timers) <= 3


def test_many_callers_do_not_overshoot():
    with ProcessPool(3, min_workers=0, script=PROGRAMS / "tasks.py") as pool:
        alive, most = set(), [0]

        def note(event):
            (alive.add if event.kind == "worker_created" else alive.discard)(event.worker)
            most[0] = max(most[0], len(alive))

        pool.on("worker_created", note)
        pool.on("worker_exited", note)
        threads = [threading.Thread(target=lambda: list(pool.map("sleep", [0.001] * 20))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= most[0] <= 3
