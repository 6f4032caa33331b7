"""Going on where the manager before left off: every combination of what was saved and what still runs."""

from __future__ import annotations

import pytest

from rookery.apps.restore import restore
from rookery.apps.state import SavedApp, SavedInstance, SavedState
from rookery.control.messages import ExitInfo
from rookery.testing import FakeProcess


class PaperSurvivor:
    """A copy from before. See Survivor."""

    def __init__(self, generation=1, *, ended=None, started_at=1_700_000_000.0 - 50):
        self.process = FakeProcess()
        self.generation = generation
        self.started_at = started_at
        self.has_ended = ended is not None
        self.recovered = 0
        if ended is not None:
            self.process.exits(ended)

    def handle(self):
        return self.process

    async def recover(self, plumbing):
        self.recovered += 1


def saved(**fields):
    return SavedInstance(**{"id": 4, "app": "web", "index": 0, "generation": 1, "state": "running", **fields})


def running(**fields):
    return saved(pid=77, start_time=88, started_at=1.0, **fields)


@pytest.fixture
def resurrect(world):
    async def act(instance, survivor=None, *, held=False, same_boot=True, used=None, **spec):
        app = SavedApp(
            name="web", spec=world.spec(**spec), base_env={"PATH": "/p"}, desired="running", created=5.0, held=held
        )
        state = SavedState(
            scope="0badcafe", boot_id="b", epoch=3, next_id=5, saved_at=1.0, apps=[app], instances=[instance]
        )
        survivors = {} if survivor is None else {"4": survivor}
        await restore(world.apps, state, survivors, used or {}, is_same_boot=same_boot)
        (one,) = world.apps.instances()
        return one

    return act


async def test_what_runs_is_adopted(world, resurrect):
    survivor = PaperSurvivor()
    one = await resurrect(running(restarts=3), survivor)
    assert (str(one.unit.state), one.unit.pid, one.unit.generation) == ("running", survivor.process.pid, 1)
    assert (one.unit.uptime, one.unit.restarts, one.app.base_env) == (50.0, 3, {"PATH": "/p"})
    assert survivor.recovered == 1
    assert world.spawner.started == []
    survivor.process.exits(1)
    await world.clock.advance(1)
    assert world.states == {"web:0": "running"}
    assert world.spawner.started[0][2] == 2


@pytest.mark.parametrize("state", ["starting", "backoff", "stopped", "exited", "fatal"])
async def test_what_runs_is_adopted_whatever_was_saved(world, resurrect, state):
    """It was started in the manager's last moment."""
    survivor = PaperSurvivor(2)
    one = await resurrect(saved(state=state, generation=1), survivor)
    assert (str(one.unit.state), one.unit.pid, one.unit.generation) == ("running", survivor.process.pid, 2)


async def test_what_ended_meanwhile_is_taken_note_of_and_started_again(world, resurrect):
    survivor = PaperSurvivor(ended=3)
    one = await resurrect(running(), survivor)
    await world.clock.advance(1)
    assert (one.unit.last_exit.status.code, one.unit.last_exit.stderr) == (3, ("last words",))
    assert survivor.process.is_closed
    assert world.states == {"web:0": "running"}
    assert one.unit.restarts == 1


@pytest.mark.parametrize(
    ("restart", "code", "state"), [("never", 0, "exited"), ("never", 3, "exited"), ("on-failure", 0, "exited")]
)
async def test_what_ended_meanwhile_and_needs_no_restart(world, resurrect, restart, code, state):
    await resurrect(running(), PaperSurvivor(ended=code), restart=restart)
    await world.clock.advance(1)
    assert world.states == {"web:0": state}
    assert world.spawner.started == []


@pytest.mark.parametrize("state", ["backoff", "exited", "fatal"])
async def test_an_end_that_is_written_down_is_not_counted_again(world, resurrect, state):
    """The manager died before it could tell the keeper to forget it."""
    survivor = PaperSurvivor(ended=3)
    last = ExitInfo(code=3, signal=None, reason="exited with code 3", at=1.0, lifetime=2.0)
    one = await resurrect(saved(state=state, failures=4, restarts=4, last_exit=last), survivor)
    assert survivor.process.is_closed
    assert survivor.recovered == 0
    await world.clock.advance(1)
    assert world.states == {"web:0": "running" if state == "backoff" else state}
    assert (one.unit.restarts, one.unit.last_exit.reason) == (4 + (state == "backoff"), "exited with code 3")


async def test_an_older_end_than_the_saved_generation_is_written_down(world, resurrect):
    survivor = PaperSurvivor(1, ended=3)
    await resurrect(saved(state="starting", generation=2), survivor)
    assert survivor.process.is_closed
    await world.clock.advance(1)
    assert world.spawner.started[0][2] == 3


async def test_an_end_of_what_was_only_about_to_start_is_not_written_down(world, resurrect):
    one = await resurrect(saved(state="starting"), PaperSurvivor(1, ended=9))
    await world.clock.advance(1)
    assert one.unit.last_exit.status.code == 9


async def test_what_is_gone_without_a_trace_is_started_again(world, resurrect):
    """Unknown to the keeper, or its pid is another process's now (then there is no survivor either)."""
    one = await resurrect(running(generation=7))
    await world.clock.advance(1)
    assert world.states == {"web:0": "running"}
    assert world.spawner.started[0][2] == 8
    assert one.unit.restarts == 1


async def test_what_is_gone_without_a_trace_and_may_not_be_restarted(world, resurrect):
    await resurrect(running(), restart="never")
    await world.clock.advance(1)
    assert world.states == {"web:0": "exited"}


async def test_what_was_about_to_start_is_started_whatever_its_policy(world, resurrect):
    await resurrect(saved(state="starting", generation=1), restart="never")
    await world.clock.advance(1)
    assert world.states == {"web:0": "running"}


async def test_no_generation_is_used_twice(world, resurrect):
    """Its pipes were made and its collector told, and then the manager died before the spawn and before the save."""
    await resurrect(saved(state="backoff", generation=4), used={"4": 6})
    await world.clock.advance(1)
    assert world.spawner.started[0][2] == 7


@pytest.mark.parametrize("has_ended", [False, True])
async def test_what_is_to_be_stopped_and_runs_is_stopped(world, resurrect, has_ended):
    survivor = PaperSurvivor(ended=0 if has_ended else None)
    one = await resurrect(running(desired="stopped"), survivor)
    await world.clock.advance(1)
    assert world.states == {"web:0": "stopped"}
    assert not survivor.process.is_alive
    assert survivor.process.is_closed
    assert one.unit.last_exit.stderr == ("last words",)
    assert world.spawner.started == []


async def test_what_is_stopped_stays_so(world, resurrect):
    await resurrect(saved(desired="stopped", state="stopped"))
    await world.clock.advance(100)
    assert world.states == {"web:0": "stopped"}


@pytest.mark.parametrize("state", ["running", "backoff", "fatal", "exited"])
async def test_what_is_held_shows_as_stopped(world, resurrect, state):
    one = await resurrect(saved(state=state), held=True)
    await world.clock.advance(100)
    assert world.states == {"web:0": "stopped"}
    assert (one.desired, one.app.held) == ("running", True)


async def test_what_is_held_and_runs_is_stopped(world, resurrect):
    """The manager was killed in the middle of ``rook kill``."""
    survivor = PaperSurvivor()
    await resurrect(running(), survivor, held=True)
    await world.clock.advance(1)
    assert not survivor.process.is_alive
    assert world.states == {"web:0": "stopped"}


async def test_after_a_reboot_all_shows_as_stopped_and_stays_wanted(world, resurrect):
    one = await resurrect(running(), same_boot=False)
    await world.clock.advance(100)
    assert world.states == {"web:0": "stopped"}
    assert (one.desired, one.app.held) == ("running", True)


@pytest.mark.parametrize("state", ["exited", "fatal"])
async def test_what_rests_goes_on_resting_and_says_why(world, resurrect, state):
    one = await resurrect(saved(state=state, reason="that is why", failures=2))
    await world.clock.advance(100)
    assert (str(one.unit.state), one.unit.reason, one.unit.failures) == (state, "that is why", 2)


async def test_ids_go_on(world, resurrect):
    await resurrect(running(), PaperSurvivor(), used={"9": 1})
    assert world.apps.next_id == 10
    await world.apply(world.spec("new"))
    assert [one.id for one in world.apps.instances()] == [4, 10]


async def test_instances_of_no_app_are_left_out(world):
    state = SavedState(scope="s", boot_id="b", epoch=1, next_id=0, saved_at=1.0, instances=[saved()])
    await restore(world.apps, state, {}, {}, is_same_boot=True)
    assert world.apps.instances() == []
    assert world.apps.next_id == 5


async def test_a_deletion_that_was_begun_is_finished(world, resurrect):
    survivor = PaperSurvivor()
    await resurrect(running(desired="stopped", pending="delete"), survivor)
    await world.let_run()
    assert (world.apps.instances(), world.apps.apps) == ([], {})
    assert not survivor.process.is_alive


async def test_what_ended_while_it_was_stopped_is_not_started_for_that(world, resurrect):
    await resurrect(running(desired="stopped"), PaperSurvivor(ended=0))
    await world.let_run()
    assert (world.states, world.spawner.started) == ({"web:0": "stopped"}, [])


@pytest.mark.parametrize("ended", [None, 0])
async def test_so_is_one_of_what_has_ended_since(world, resurrect, ended):
    survivor = None if ended is None else PaperSurvivor(ended=ended)
    await resurrect(running(desired="stopped", pending="delete"), survivor)
    await world.let_run()
    assert (world.apps.instances(), world.spawner.started) == ([], [])


async def test_what_was_described_anew_is_started_again(world, resurrect):
    survivor = PaperSurvivor()
    one = await resurrect(running(pending="restart"), survivor)
    await world.let_run()
    assert not survivor.process.is_alive
    assert (world.states, one.unit.generation, one.pending) == ({"web:0": "running"}, 2, "")


@pytest.mark.parametrize("where", [{"held": True}, {"same_boot": False}])
async def test_but_not_what_is_to_stay_down(world, resurrect, where):
    await resurrect(saved(state="stopped", pending="restart"), **where)
    await world.let_run()
    assert (world.states, world.spawner.started) == ({"web:0": "stopped"}, [])
