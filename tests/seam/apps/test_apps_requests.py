"""Waiting, signals, counters, environments, and what is left of a file."""

from __future__ import annotations

import asyncio
import signal

import msgspec
import pytest

from rookery import errors
from rookery.apps.environment import environment_of
from rookery.apps.signals import send_signal, signal_number
from rookery.apps.waiting import wait_for
from rookery.config.spec import ReadinessSpec
from rookery.control.messages import ActRequest, StartRequest
from rookery.testing import FakeProcess


def waiting(world, until, *selectors, timeout=5.0):
    chosen = world.apps.instances(selectors or ["all"])
    return asyncio.ensure_future(wait_for(world.apps.events, chosen, until, timeout))


@pytest.mark.parametrize(
    ("until", "state", "is_so"),
    [
        ("running", "running", True),
        ("ready", "running", True),
        ("stopped", "running", False),
        ("exited", "running", False),
        ("stopped", "stopped", True),
        ("exited", "stopped", False),
        ("running", "stopped", False),
        ("settled", "stopped", False),
        ("exited", "exited", True),
        ("stopped", "exited", True),
        ("ready", "exited", False),
    ],
)
async def test_what_is_so_already(world, until, state, is_so):
    await world.apply(world.spec(restart="never"))
    if state == "stopped":
        await world.act("stop", "web")
    elif state == "exited":
        world.process("web").exits(0)
        await world.let_run()
    result = await waiting(world, until, timeout=0.0)
    assert result.expired is not is_so
    assert [one.ok for one in result.outcomes] == [True]


async def test_waiting_for_what_comes(world):
    await world.apply(world.spec(readiness=ReadinessSpec(notify=True)))
    ready, stopped = waiting(world, "ready"), waiting(world, "stopped")
    await world.let_run()
    assert not ready.done()
    world.apps.instances()[0].plumbing.wants.on_words({"READY": "1"})
    assert (await ready).expired is False
    assert not stopped.done()
    await world.act("stop", "web")
    assert (await stopped).outcomes[0].did == "stopped"


@pytest.mark.parametrize("becomes", ["fatal", "deleted"])
async def test_what_will_never_be(make_world, becomes):
    world = make_world()
    await world.apply(world.spec())
    exited = waiting(world, "exited")
    await world.let_run()
    if becomes == "deleted":
        await world.act("delete", "web")
    else:
        world.spawner.failures.append(errors.CommandNotFound(["/bin/x"]))
        await world.act("restart", "web")
    result = await exited
    assert (result.expired, result.outcomes[0].ok) == (False, False)
    assert ("deleted" if becomes == "deleted" else "no such command") in result.outcomes[0].reason
    await world.apps.close()


@pytest.mark.parametrize(
    ("text", "number"), [("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("usr1", signal.SIGUSR1), ("15", 15), (9, 9)]
)
def test_signals(text, number):
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", 0, "SIGNOTHING", "999", 999, -9, "-9", "SIG", "٩"])
def test_what_is_no_signal(text):
    with pytest.raises(errors.UsageError, match="there is no signal"):
        signal_number(text)


async def test_a_signal_goes_to_the_leader_or_to_all(make_world):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGHUP], children=2))
    await world.apply(world.spec())
    chosen = world.apps.instances(["web"])
    (leader,) = send_signal(world.apps.events, chosen, signal.SIGHUP, tree=False)
    (whole,) = send_signal(world.apps.events, chosen, signal.SIGHUP, tree=True)
    assert (leader.processes, whole.processes, leader.signal) == (1, 3, "SIGHUP")
    assert world.process("web").signals == [signal.SIGHUP, signal.SIGHUP]
    await world.apps.close()


async def test_none_is_signalled_where_one_does_not_run(world):
    await world.apply(world.spec(instances=2))
    await world.act("stop", "web:1")
    with pytest.raises(errors.OperationFailed, match="web:1 does not run"):
        send_signal(world.apps.events, world.apps.instances(["web"]), signal.SIGHUP, tree=False)
    assert world.process("web:0").signals == []


async def test_one_that_has_just_ended_is_not_signalled(world):
    await world.apply(world.spec())
    world.process("web").exits(1)  # nobody has looked yet
    with pytest.raises(errors.OperationFailed, match="does not run"):
        send_signal(world.apps.events, world.apps.instances(["web"]), signal.SIGHUP, tree=False)


async def test_counters(world):
    await world.apply(world.spec())
    await world.act("restart", "web")
    assert world.apps.instances()[0].row().restarts == 1
    await world.act("stop", "web")
    await world.act("restart", "web")
    await world.act("stop", "web")
    await world.act("start", "web")
    (one,) = world.apps.instances()
    assert one.row().restarts == 1  # a start after a stop is none
    for _ in range(4):
        world.process("web").exits(0)
        await world.clock.advance(3)
    assert (one.row().restarts, one.row().exit.repeats) == (5, 4)
    world.apps.reset(one)
    assert (one.row().restarts, one.row().exit.repeats, one.unit.failures) == (0, 1, 0)


async def test_a_manual_start_begins_a_new_streak(world):
    await world.apply(world.spec(restart="never"))
    (one,) = world.apps.instances()
    for _ in range(3):
        world.process("web").exits(0)
        await world.let_run()
        await world.act("start", "web")
    assert one.row().exit.repeats == 1


async def test_the_environment_of_the_next_copy(world):
    spec = world.spec(env={"API_TOKEN": "t0p", "A": "1"}, readiness=ReadinessSpec(notify=True))
    await world.apply(spec, env={"PATH": "/bin", "A": "0"})
    (one,) = world.apps.instances()
    shown = environment_of(one, reveal=False)
    assert shown.next == {
        "A": "1", "API_TOKEN": "***", "NODE_APP_INSTANCE": "0", "PATH": "/bin", "ROOKERY_UNIT": "0badcafe:0:2",
    }  # fmt: skip
    assert shown.made_at_start == ["NOTIFY_SOCKET"]
    assert environment_of(one, reveal=True).next["API_TOKEN"] == "t0p"
    await world.act("restart", "web")
    given = world.spawner.started[-1][0].env
    assert given == {**environment_of(one, reveal=True).next, "ROOKERY_UNIT": "0badcafe:0:2"}


async def test_restart_with_another_environment(world):
    await world.apply(world.spec(), env={"PATH": "/old", "GONE": "1"})
    await world.apps.act("restart", ActRequest(selectors=["web"], wait="started", base_env={"PATH": "/new"}))
    env = world.spawner.started[-1][0].env
    assert (env["PATH"], "GONE" in env) == ("/new", False)
    assert world.apps.apps["web"].saved().base_env == {"PATH": "/new"}
    await world.act("restart", "web")
    assert world.spawner.started[-1][0].env["PATH"] == "/new"


def apply_file(world, *specs, prune=False):
    raws = [msgspec.Raw(msgspec.json.encode(spec)) for spec in specs]
    return world.apps.apply(StartRequest(specs=raws, base_env={}, wait="started", files=["/f.toml"], prune=prune))


async def test_what_is_left_of_a_file(world, words):
    a, b = world.spec("a", origin="/f.toml"), world.spec("b", origin="/f.toml")
    other = world.spec("other", origin="/other.toml")
    await world.apply(a, b, other, world.spec("single"))
    result = await apply_file(world, a)
    assert (words(result.outcomes), result.left) == (["a:0 unchanged"], ["b"])
    assert world.states["b:0"] == "running"
    result = await apply_file(world, a, prune=True)
    assert (words(result.outcomes), result.left) == (["a:0 unchanged", "b:0 deleted"], [])
    assert set(world.states) == {"a:0", "other:0", "single:0"}
    assert (await apply_file(world, a)).left == []
