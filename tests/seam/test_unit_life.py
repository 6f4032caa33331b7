"""One unit through its life: starts, crashes, backoff, the last exit."""

import pytest

from rookery._base.ids import COOKIE
from rookery.errors import ImpossibleTransition
from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.restart import MaxRestarts, RestartPolicy
from rookery.lifecycle.state import Event, State
from rookery.process.spec import SpawnSpec
from rookery.testing import FakeProcess
from rookery.testing.clock import let_run


async def test_a_start(stage):
    unit = stage.unit()
    assert (unit.state, unit.pid, unit.uptime, unit.is_ready) == (State.STOPPED, None, None, False)
    assert await unit.start() is True
    await stage.clock.advance(3)
    assert (unit.state, unit.pid, unit.uptime, unit.is_ready) == (State.RUNNING, stage.spawner.last.pid, 3.0, True)
    assert stage.story == ["starting", "running"]
    (spec, key, generation) = stage.spawner.started[0]
    assert (key, generation) == ("web", 1)
    assert spec.env == {"A": "1", COOKIE: "0123abcd:web:1"}
    assert unit.cookie == spec.env[COOKIE]


async def test_without_an_environment_it_gets_ours_and_the_cookie(stage, monkeypatch):
    monkeypatch.setenv("OURS", "yes")
    stage.plumbing._spec = SpawnSpec(("prog",))
    await stage.unit().start()
    env = stage.spawner.started[0][0].env
    assert (env["OURS"], env[COOKIE]) == ("yes", "0123abcd:web:1")


async def test_a_start_of_what_runs_changes_nothing(stage):
    unit = stage.unit()
    await unit.start()
    assert await unit.start() is False
    assert len(stage.spawner.started) == 1


async def test_events_tell_what_happened_in_order_with_reasons(stage):
    unit = stage.unit()
    await unit.start()
    pid = unit.pid
    await stage.crash(after=2, code=3)
    told = [(event.unit, str(event.before), str(event.after), event.event, event.reason) for event in stage.events]
    assert told == [
        ("web", "stopped", "starting", Event.START, "asked to start"),
        ("web", "starting", "running", Event.SPAWNED, f"started with pid {pid}"),
        ("web", "running", "backoff", Event.EXITED_RETRY, "exited with code 3"),
    ]
    assert [event.at for event in stage.events] == sorted(event.at for event in stage.events)


async def test_a_crash_is_followed_by_a_delay_and_another_copy(stage):
    unit = stage.unit()
    await unit.start()
    await stage.crash(after=1)
    assert (unit.state, unit.pid, unit.uptime) == (State.BACKOFF, None, None)
    assert unit.next_start == pytest.approx(stage.clock.monotonic() + 0.1)
    await stage.clock.advance(0.09)
    assert unit.state is State.BACKOFF
    await stage.clock.advance(0.02)
    assert (unit.state, unit.generation, unit.restarts, unit.crashes) == (State.RUNNING, 2, 1, 1)
    assert unit.next_start is None
    assert stage.story == ["starting", "running", "backoff", "starting", "running"]


async def test_delays_grow_with_each_crash_and_a_manual_start_forgets_them(stage):
    unit = stage.unit()
    await unit.start()
    delays = []
    for _ in range(4):
        await stage.crash()
        delays.append(round(unit.next_start - stage.clock.monotonic(), 6))
        await stage.clock.advance(60 if len(delays) == 4 else delays[-1])
    assert delays == [0.1, 0.2, 0.4, 0.8]
    await unit.restart()
    await stage.crash()
    assert unit.next_start - stage.clock.monotonic() == pytest.approx(0.1)


async def test_the_first_restart_after_a_stable_run_is_immediate(stage):
    unit = stage.unit()
    await unit.start()
    before = stage.clock.monotonic()
    await stage.crash(after=10)
    assert (unit.state, unit.generation) == (State.RUNNING, 2)
    assert stage.clock.monotonic() == before + 10


async def test_the_last_exit_is_kept(stage):
    stage.plumbing.words = ("boom",)
    unit = stage.unit()
    await unit.start()
    await stage.clock.advance(4)
    stage.spawner.last.dies(11)
    await let_run()
    last = unit.last_exit
    assert last.status == ExitStatus(signal=11, signal_name="SIGSEGV")
    assert (last.reason, last.lifetime, last.stderr) == ("killed by SIGSEGV", 4.0, ("boom",))
    assert last.at == stage.clock.wall()


@pytest.mark.parametrize(
    ("when", "code", "state"),
    [("always", 0, "backoff"), ("on-failure", 0, "exited"), ("on-failure", 1, "backoff"), ("never", 1, "exited")],
)
async def test_what_the_policy_says_is_done(stage, when, code, state):
    unit = stage.unit(policy=RestartPolicy(when=when))
    await unit.start()
    await stage.crash(code=code)
    assert str(unit.state) == state
    assert unit.pid is None


async def test_too_many_restarts_are_fatal_until_a_person_starts_it(stage):
    unit = stage.unit(policy=RestartPolicy(max_restarts=MaxRestarts(2)))
    await unit.start()
    for _ in range(3):
        await stage.crash()
        await stage.clock.advance(1)
    assert unit.state is State.FATAL
    assert "2 restarts within 60 s" in unit.reason
    assert await unit.start()
    assert unit.state is State.RUNNING


async def test_what_a_leader_left_behind_is_killed_before_the_next_copy_starts(stage):
    stage.made = {"children": 2}
    unit = stage.unit()
    await unit.start()
    first = stage.spawner.last
    await stage.clock.advance(1)
    first.exits(1)
    await stage.clock.advance(1)
    assert first.children == {}
    assert first.is_closed
    assert unit.state is State.RUNNING
    assert unit.last_exit.reason == "exited with code 1, left 2 behind"
    assert unit.last_exit.lifetime == 1.0


async def test_pipes_are_put_away_once_for_each_copy(stage):
    unit = stage.unit()
    await unit.start()
    await stage.crash()
    await stage.clock.advance(1)
    await unit.stop()
    assert stage.plumbing.calls == [("prepare", 1), ("finish", 1), ("prepare", 2), ("finish", 2)]


@pytest.mark.parametrize("error", [OSError("collector gone"), RuntimeError("defect")])
async def test_output_that_cannot_be_put_away_does_not_hide_the_end(stage, error, caplog):
    unit = stage.unit()
    stage.plumbing.finish_fails = error
    await unit.start()
    await stage.crash()
    assert unit.state is State.BACKOFF
    assert str(error) in caplog.text
    await stage.clock.advance(1)
    await unit.stop()
    assert unit.state is State.STOPPED


async def test_adopting_what_runs(stage):
    unit = stage.unit()
    process = FakeProcess()
    unit.adopt(process, 7, uptime=100.0)
    assert (unit.state, unit.pid, unit.uptime, unit.generation) == (State.RUNNING, process.pid, 100.0, 7)
    assert unit.since == stage.clock.wall() - 100.0
    process.exits(1)
    await let_run()
    assert (unit.state, unit.generation) == (State.RUNNING, 8)  # it had been stable: again at once
    assert stage.story == ["running", "backoff", "starting", "running"]


async def test_adopting_what_has_just_ended(stage):
    unit = stage.unit(policy=RestartPolicy(when="on-failure"))
    process = FakeProcess()
    process.exits(0)
    unit.adopt(process, 7, uptime=5.0)
    await let_run()
    assert (unit.state, unit.pid) == (State.EXITED, None)
    assert unit.last_exit.status == ExitStatus(code=0)
    assert process.is_closed


@pytest.mark.parametrize("state", [State.STOPPED, State.EXITED, State.FATAL])
async def test_adopting_whatever_was_written_down(stage, state):
    # The manager before may have died between a start and writing it down.
    unit = stage.unit()
    unit.recall(state, "as it was", failures=3)
    assert (unit.state, unit.failures) == (state, 3)
    unit.adopt(FakeProcess(), 7, uptime=5.0)
    assert unit.state is State.RUNNING


async def test_adopting_a_second_process_is_a_defect(stage):
    unit = stage.unit()
    await unit.start()
    with pytest.raises(ImpossibleTransition):
        unit.adopt(FakeProcess(), 7, uptime=5.0)


async def test_going_on_in_backoff(stage):
    unit = stage.unit()
    unit.generation = 4
    unit.resume_backoff("it is to run")
    assert (unit.state, unit.reason) == (State.BACKOFF, "it is to run")
    await let_run()
    assert (unit.state, unit.generation) == (State.RUNNING, 5)


async def test_going_on_in_backoff_and_stopping_at_once(stage):
    unit = stage.unit()
    unit.resume_backoff("it is to run")
    await unit.stop()
    await stage.clock.advance(60)
    assert (unit.state, stage.spawner.started) == (State.STOPPED, [])
