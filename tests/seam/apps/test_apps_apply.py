"""Apps as they are described."""

from __future__ import annotations

import msgspec
import pytest

from rookery import errors
from rookery.control.messages import StartRequest


async def test_new_changed_equal(world, words):
    assert words(await world.apply(world.spec("a"), world.spec("b"))) == ["a:0 started", "b:0 started"]
    changed = world.spec("b", env={"X": "1"})
    assert words(await world.apply(world.spec("a"), changed)) == ["a:0 unchanged", "b:0 restarted"]
    assert world.alive == ["0", "1"]
    assert len(world.spawner.started) == 3
    assert world.spawner.started[-1][0].env["X"] == "1"


async def test_the_order_of_names_is_the_order_of_outcomes(world, words):
    assert words(await world.apply(world.spec("z", instances=2), world.spec("a"))) == [
        "a:0 started",
        "z:0 started",
        "z:1 started",
    ]


async def test_scaling_up_and_down(world, words):
    await world.apply(world.spec(instances=1))
    first = world.process("web:0")
    await world.apply(world.spec(instances=3))
    assert world.alive == ["0", "1", "2"]
    assert words(await world.apply(world.spec(instances=2))) == ["web:0 unchanged", "web:1 unchanged", "web:2 deleted"]
    assert world.alive == ["0", "1"]
    assert first.is_alive
    await world.apply(world.spec(instances=3))
    assert [one.id for one in world.apps.instances()] == [0, 1, 3]  # an id is never used twice


async def test_where_it_came_from_is_no_change(world, words):
    await world.apply(world.spec(origin="/a/rook.toml"))
    assert words(await world.apply(world.spec(origin="/b/rook.toml"))) == ["web:0 unchanged"]


async def test_the_environment_is_taken_afresh_at_the_next_start(world):
    await world.apply(world.spec(), env={"PATH": "/old", "GONE": "1"})
    await world.apply(world.spec(), env={"PATH": "/new"})
    await world.act("restart", "web")
    env = world.spawner.started[-1][0].env
    assert env["PATH"] == "/new"
    assert "GONE" not in env


async def test_stopped_and_failed_ones_are_started(world, words):
    await world.apply(world.spec(restart="never", instances=2))
    await world.act("stop", "web:0")
    world.process("web:1").exits(3)
    await world.let_run()
    assert world.states == {"web:0": "stopped", "web:1": "exited"}
    assert words(await world.apply(world.spec(restart="never", instances=2))) == ["web:0 started", "web:1 started"]


async def test_the_state_is_on_disk_before_anything_runs(world):
    await world.apply(world.spec(instances=2))
    assert world.saves[0] == 0
    assert world.saves[-1] == 2


async def test_policy_and_stop_plan_change_at_once_without_a_restart_of_others(world):
    await world.apply(world.spec())
    await world.apply(world.spec(graceful_timeout=3.0, restart="never"))
    unit = world.apps.instances()[0].unit
    assert (unit.stop_plan.graceful_timeout, unit.policy.when) == (3.0, "never")


async def test_a_start_that_fails_tells_why_and_where_the_log_is(make_world):
    world = make_world()
    world.spawner.failures.append(errors.CommandNotFound(["/bin/x"]))
    (outcome,) = await world.apply(world.spec())
    assert (outcome.ok, outcome.did, outcome.state) == (False, "failed", "fatal")
    assert "no such command" in outcome.reason
    assert outcome.log == "/logs/web-0.err.log"
    assert world.outfitter.given["0"].finished == [1]
    await world.apps.close()


async def test_a_system_short_of_resources_is_asked_again(make_world):
    world = make_world()
    world.spawner.failures.append(errors.ResourcesExhausted("no more processes"))
    (outcome,) = await world.apply(world.spec())
    assert (outcome.ok, outcome.state) == (False, "backoff")
    await world.clock.advance(1)
    assert world.states == {"web:0": "running"}
    await world.apps.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "all"}, "selects every app"),
        ({"name": "../x"}, "cannot be a name"),
        ({"name": "7"}, "by its id"),
        ({"namespace": "a/b"}, "cannot be a name"),
        ({"command": ()}, "no command"),
        ({"command": ("",)}, "no command"),
        ({"cwd": "relative"}, "not absolute"),
        ({"instances": 0}, "0 instances"),
        ({"instances": -1}, "-1 instances"),
        ({"stop_signal": "SIGNOTHING"}, "unknown stop_signal"),
        ({"surprise": 1}, "surprise"),
        ({"restart": "sometimes"}, "sometimes"),
    ],
)
async def test_a_wrong_description_is_refused_and_nothing_is_done(world, change, said):
    plain = {**msgspec.to_builtins(world.spec()), **change}
    raws = [msgspec.Raw(msgspec.json.encode(one)) for one in (world.spec("fine"), plain)]
    with pytest.raises(errors.ConfigError, match=said):
        await world.apps.apply(StartRequest(specs=raws, base_env={}))
    assert world.apps.apps == {}
    assert world.spawner.started == []


async def test_an_app_described_twice_is_refused(world):
    with pytest.raises(errors.ConfigError, match="twice"):
        await world.apply(world.spec(), world.spec())


async def test_each_instance_gets_its_number(world):
    await world.apply(world.spec(instances=2))
    assert [spec.env["NODE_APP_INSTANCE"] for spec, _, _ in world.spawner.started] == ["0", "1"]
    assert [spec.env["ROOKERY_UNIT"] for spec, _, _ in world.spawner.started] == ["0badcafe:0:1", "0badcafe:1:1"]


async def test_what_goes_and_what_is_renewed_is_written_down_before_anything_is_done(world):
    await world.apply(world.spec(instances=3))
    seen = []

    async def save():
        seen.append(([(one.index, one.desired, one.pending) for one in world.apps.instances()], len(world.alive)))

    world.save = save
    await world.apply(world.spec(instances=2, env={"A": "1"}))
    assert seen[0] == ([(0, "running", "restart"), (1, "running", "restart"), (2, "stopped", "delete")], 3)
    assert [(one.index, one.pending) for one in world.apps.instances()] == [(0, ""), (1, "")]


async def test_as_many_as_described_are_enough_whatever_their_numbers(world, words):
    await world.apply(world.spec(instances=3))
    await world.act("delete", "web:0")
    assert words(await world.apply(world.spec(instances=2))) == ["web:1 unchanged", "web:2 unchanged"]
