"""Pools whose workers run a script: what they are asked for, and what comes back."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from script_pools import LANGUAGES, PLAIN, PROGRAMS, events_of, pool_of

from capabilities import DEADLINE, needs_node
from rookery.errors import PoolFull, RemoteError, SpawnError, TaskNotSent, UsageError
from rookery.pool import ProcessPool
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


def test_tasks_by_name(language):
    with pool_of(language) as pool:
        futures = [pool.submit("add", {"a": number, "b": 1}) for number in range(20)]
        assert [future.result(DEADLINE) for future in futures] == list(range(1, 21))
        assert {future.result() for future in as_completed(futures)} == set(range(1, 21))
        assert list(pool.map("echo", ["a", None, {"ü": [1.5, True]}])) == ["a", None, {"ü": [1.5, True]}]
        assert sorted(pool.map("echo", range(10), ordered=False, chunksize="auto")) == list(range(10))
        assert pool.submit("echo").result(DEADLINE) is None
        status = pool.status()
    assert (status.tasks.total, status.tasks.completed) == (34, 34)
    assert status.run.p50 is not None


async def test_tasks_for_an_event_loop(language):
    async with ProcessPool(2, **language) as pool:
        assert await pool.run("add", {"a": 1, "b": 2}) == 3
        assert await asyncio.gather(*[pool.run("echo", number) for number in range(50)]) == list(range(50))
        assert [item async for item in pool.map("echo", range(5), buffersize=2)] == list(range(5))
        with pytest.raises(RemoteError, match="no luck"):
            await pool.run("boom", "luck")


def test_what_a_task_raises(language):
    with pool_of(language, 1) as pool:
        error = pool.submit("boom", "luck").exception(DEADLINE)
        assert isinstance(error, RemoteError)
        assert error.kind in ("ValueError", "RangeError")
        assert error.text == "no luck"
        assert "boom" in error.traceback
        assert "tasks." in error.traceback
        assert "script_serving" not in error.traceback
        results = list(pool.map("boom", [1, 2], return_exceptions=True))
        assert [result.text for result in results] == ["no 1", "no 2"]
        unknown = pool.submit("unheard").exception(DEADLINE)
        assert isinstance(unknown, RemoteError)
        status = pool.status()
    assert (status.tasks.failed, status.success_rate, status.rows[0].errors) == (4, 0.0, 4)


def test_success_is_counted_of_what_has_ended(language):
    with pool_of(language, 1) as pool:
        assert pool.status().success_rate is None
        pool.submit("echo").result(DEADLINE)
        assert pool.submit("boom").exception(DEADLINE)
        waiting = [pool.submit("sleep", seconds) for seconds in (0.6, 0, 0)]
        assert pool.status().success_rate == 0.5
        assert [one.result(DEADLINE) for one in waiting] == [0.6, 0, 0]
        assert pool.status().success_rate == 0.8


def test_progress_comes_in_order_and_before_the_result(language):
    with pool_of(language, 1) as pool:
        seen = []
        events = events_of(pool, "task_progress")
        future = pool.options(on_progress=seen.append).submit("count", 100)
        future.add_done_callback(lambda _: seen.append("done"))
        assert future.result(DEADLINE) == 100
        wait_until(lambda: seen[-1] == "done", DEADLINE, "the callback")
        assert seen == [*range(100), "done"]
        assert [event.value for event in events] == list(range(100))


async def test_progress_for_an_event_loop(language):
    async with ProcessPool(1, **language) as pool:
        seen, threads = [], set()

        def note(value):
            seen.append(value)
            threads.add(threading.get_ident())

        assert await pool.options(on_progress=note).run("count", 10) == 10
        assert seen == list(range(10))
        assert threads == {threading.get_ident()}


async def test_progress_of_coroutines_and_of_their_threads():
    async with ProcessPool(1, script=PROGRAMS / "tasks.py", script_args=["async"]) as pool:
        seen = []
        assert await pool.options(on_progress=seen.append).run("wait", 0.01) == 0.01
        assert seen == ["waiting", "waited"]


def test_workers_are_asked_how_they_are(language):
    with pool_of(language) as pool:
        wait_until(lambda: pool.status().workers.available == 2, DEADLINE, "two workers")
        answers = pool.ask_status(DEADLINE)  # idle ones answer too
        assert sorted(answers) == sorted(row.name for row in pool.status().rows)
        assert all("args" in answer or "argv" in answer for answer in answers.values())
        assert asyncio.run(pool.asked_status(DEADLINE)).keys() == answers.keys()


async def test_an_event_loop_answers_in_the_middle_of_a_task():
    async with ProcessPool(1, script=PROGRAMS / "tasks.py", script_args=["async"]) as pool:
        begun = asyncio.Event()
        task = pool.options(on_progress=lambda _: begun.set()).run("wait", 600)
        await begun.wait()
        (answer,) = (await pool.asked_status(DEADLINE)).values()
        assert (answer["tasks"], answer["errors"], answer["args"]) == (0, 0, ["async"])
        task.cancel()


def test_a_worker_that_computes_does_not_answer_in_time():
    with pool_of({"script": PROGRAMS / "tasks.py"}, 1) as pool:
        future = pool.submit("sleep", 600)
        wait_until(future.running, DEADLINE, "the task")
        assert list(pool.ask_status(0.05).values()) == [None]
        assert future.cancel(running=True)
    assert pool.ask_status() == {}


def test_one_task_at_a_time_each():
    with pool_of({"script": PROGRAMS / "tasks.py"}) as pool, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: pool.submit("alone", 0.002).result(DEADLINE), range(200)))
    assert found == [True] * 200


def test_priorities_and_the_order_of_the_queue(language):
    with pool_of(language, 1) as pool:
        order = []
        pool.on("task_started", lambda event: order.append(event.task.split()[0]))
        first = pool.options(label="first").submit("sleep", 0.6)
        wait_until(first.running, DEADLINE, "the first task")
        for label, priority in [("b", 0), ("c", 0), ("z", -1), ("a", 5)]:
            pool.options(label=label, priority=priority).submit("echo")
        pool.drain(DEADLINE)
    assert order == ["first", "a", "b", "c", "z"]


def test_a_bounded_queue(language):
    with pool_of(language, 1, max_queue=2, when_full="raise") as pool:
        first = pool.submit("sleep", 0.6)
        wait_until(first.running, DEADLINE, "the first task")
        futures = [pool.submit("echo", number) for number in range(2)]
        with pytest.raises(PoolFull):
            pool.submit("echo", 2)
        assert [future.result(DEADLINE) for future in futures] == [0, 1]
    with pool_of(language, 1, max_queue=1) as pool:
        futures = [pool.submit("echo", number) for number in range(30)]
        assert [future.result(DEADLINE) for future in futures] == list(range(30))


def test_data_is_as_it_was_when_it_was_submitted(language):
    with pool_of(language, 1) as pool:
        data = {"list": [1]}
        blocker = pool.submit("sleep", 0.1)
        future = pool.submit("echo", data)
        data["list"].append(2)
        assert future.result(DEADLINE) == {"list": [1]}
        assert blocker.done()


def test_data_that_cannot_be_given(language):
    with pool_of(language, 1) as pool:
        assert isinstance(pool.submit("echo", object()).exception(DEADLINE), TaskNotSent)
        assert isinstance(pool.submit("echo", "x" * (17 << 20)).exception(DEADLINE), TaskNotSent)
        big = "ü" * (2 << 20)
        assert pool.submit("echo", big).result(DEADLINE) == big
        assert pool.status().workers.total == 1


def test_a_result_that_cannot_be_given():
    for args in ([], ["async"]):
        with pool_of({"script": PROGRAMS / "tasks.py", "script_args": args}, 1) as pool:
            error = pool.submit("object").exception(DEADLINE)
            assert isinstance(error, RemoteError)
            assert error.kind == "ResultNotSent"
            assert pool.submit("echo", b"bytes").result(DEADLINE) == b"bytes"


def test_leaving_a_python_task_by_exit_is_its_error():
    with pool_of({"script": PROGRAMS / "tasks.py"}, 1) as pool:
        before = pool.submit("pid").result(DEADLINE)
        error = pool.submit("exit", 3).exception(DEADLINE)
        assert (error.kind, error.text) == ("SystemExit", "3")
        assert pool.submit("pid").result(DEADLINE) == before


@pytest.mark.parametrize("plain", PLAIN)
def test_scripts_written_for_no_protocol(plain):
    with pool_of(plain) as pool:
        assert pool.submit({"type": "task"}).result(DEADLINE)["got"] == {"type": "task"}
        assert pool.submit("resize").result(DEADLINE)["got"] == "resize"
        assert pool.submit(None).result(DEADLINE)["got"] is None
        assert [one["got"] for one in pool.map(range(50))] == list(range(50))
        assert [one["got"] for one in pool.options(priority=1).map(["ü"], progress=False)] == ["ü"]
        with pytest.raises(UsageError, match="no name"):
            pool.submit("resize", {"width": 640})
        with pytest.raises(UsageError):
            pool.ask_status()


@needs_node
def test_an_unasked_message_of_a_plain_script_is_no_answer_to_the_next_task():
    with pool_of({"script": PROGRAMS / "plain.js", "protocol": "plain"}, 1) as pool:
        assert pool.submit("twice").result(DEADLINE) == "unasked"
        (row,) = pool.status().rows
        wait_until(lambda: pool.output(row.name).ignored, DEADLINE, "the second message")
        assert pool.submit("next").result(DEADLINE)["got"] == "next"


def test_an_interpreter_with_arguments(tmp_path):
    script = tmp_path / "worker.txt"
    script.write_text((PROGRAMS / "tasks.py").read_text())
    how = {"script": script, "interpreter": sys.executable, "interpreter_args": ["-X", "utf8"], "script_args": [7]}
    with pool_of(how, 1, env={"ROOKERY_TEST": "1"}) as pool:
        assert pool.submit("add", {"a": 1, "b": 2}).result(DEADLINE) == 3
        assert next(iter(pool.ask_status(DEADLINE).values()))["args"] == ["7"]


def test_a_script_in_any_language():
    with pool_of({"script": PROGRAMS / "tasks.sh", "interpreter": "bash"}, 1) as pool:
        assert pool.submit("shout", "abc").result(DEADLINE) == "ABC"
        assert pool.submit("unheard").exception(DEADLINE).kind == "KeyError"


@needs_node
def test_node_with_arguments():
    how = {"script": PROGRAMS / "tasks.js", "interpreter_args": ["--max-old-space-size=128"], "script_args": ["a", 1]}
    with pool_of(how, 1) as pool:
        pool.submit("echo").result(DEADLINE)
        (answer,) = pool.ask_status(DEADLINE).values()
        assert answer == {"argv": ["a", "1"], "execArgv": ["--max-old-space-size=128"]}


def test_what_a_pool_of_scripts_is_not_asked_for():
    with pool_of({"script": PROGRAMS / "tasks.py"}, 1, min_workers=0) as pool:
        for wrong in (
            lambda: pool.submit(len, [1]),
            lambda: pool.submit("add", a=1),
            lambda: pool.map("echo", [1], [2]),
        ):
            with pytest.raises(UsageError):
                wrong()
        with pytest.raises(UsageError, match="no worker"):
            pool.output("pool:9")
    with ProcessPool(1, min_workers=0) as functions:
        for ask in (functions.ask_status, lambda: functions.output("pool:0")):
            with pytest.raises(UsageError):
                ask()


@pytest.mark.parametrize(
    "wrong",
    [
        {"script": "nothing.py"},
        {"script": "os:path"},
        {"script": "worker.sh"},
        {"protocol": "plain"},
        {"script": __file__, "protocol": "mine"},
        {"script": __file__, "preload": ["json"]},
        {"script": __file__, "initializer": print},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises((UsageError, SpawnError)):
        ProcessPool(1, **wrong)
