"""How long a request waits, and what it says then."""

from __future__ import annotations

import asyncio
import signal

import pytest

from rookery.testing import FakeProcess


async def test_started_does_not_wait(world, words):
    assert words(await world.apply(world.spec(min_uptime=100.0), wait="started")) == ["web:0 started"]


async def test_settled_waits_for_min_uptime(world):
    applying = world.began(world.applying(world.spec(min_uptime=5.0), wait="settled"))
    await world.clock.advance(4.9)
    assert not applying.done()
    await world.clock.advance(0.2)
    (outcome,) = (await applying).outcomes
    assert (outcome.did, outcome.state) == ("started", "running")


async def test_settled_tells_of_a_fall(world):
    applying = world.began(world.applying(world.spec(), wait="settled"))
    await world.let_run()
    world.process("web").exits(7)
    (outcome,) = (await applying).outcomes
    assert (outcome.ok, outcome.did, outcome.reason) == (False, "failed", "exited with code 7")
    assert outcome.exit.stderr == ("last words",)


async def test_a_job_that_succeeds_has_settled(world):
    applying = world.began(world.applying(world.spec(restart="on-failure"), wait="settled"))
    await world.let_run()
    world.process("web").exits(0)
    (outcome,) = (await applying).outcomes
    assert (outcome.ok, outcome.state) == (True, "exited")


async def test_success_again_and_again_gets_a_hint(world):
    applying = world.began(world.applying(world.spec(), wait="settled"))
    await world.let_run()
    world.process("web").exits(0)
    (outcome,) = (await applying).outcomes
    assert not outcome.ok
    assert "--restart on-failure" in outcome.hint


async def test_a_failed_start_that_is_tried_again_says_so(world):
    applying = world.began(world.applying(world.spec(), world.spec("once", restart="never"), wait="settled"))
    await world.let_run()
    world.process("web").exits(3)
    world.process("once").exits(3)
    once, web = (await applying).outcomes
    assert (web.ok, web.hint) == (False, "web is started again and again; to end that: rook stop web")
    assert (once.ok, once.hint) == (False, "")


async def test_stopped_by_another_request_meanwhile(world):
    applying = world.began(world.applying(world.spec(), wait="settled"))
    await world.let_run()
    await world.act("stop", "web")
    (outcome,) = (await applying).outcomes
    assert (outcome.ok, outcome.did) == (False, "stopped")
    assert "another request" in outcome.reason


async def test_none_does_not_even_wait_for_the_start(world):
    result = await world.applying(world.spec(), wait="none")
    assert result.outcomes == []
    await world.let_run()
    assert world.states == {"web:0": "running"}


@pytest.mark.parametrize("verb", ["stop", "restart", "delete"])
async def test_a_limit_that_passes_in_an_operation(make_world, verb):
    world = make_world(lambda: FakeProcess(ignores=[signal.SIGTERM]))
    await world.apply(world.spec(instances=2))
    result = await world.acting(verb, "web", timeout=0.01)
    assert result.expired
    assert [(one.ok, one.did) for one in result.outcomes] == [(True, "waiting")] * 2
    assert "still stopping" in result.outcomes[0].reason
    await world.clock.advance(30)
    wanted = {"stop": {"stopped"}, "restart": {"running"}, "delete": set()}[verb]
    assert set(world.states.values()) == wanted
    await world.apps.close()


async def test_a_limit_that_passes_in_settling(world):
    result = await world.applying(world.spec(min_uptime=1000.0), wait="settled", timeout=0.01)
    assert result.expired
    assert [(one.ok, one.did, one.state) for one in result.outcomes] == [(True, "waiting", "running")]


async def test_an_answer_comes_after_the_state_is_on_disk(world):
    changes = []

    async def save():
        await asyncio.sleep(0)
        changes.append(world.states["web:0"])

    world.save = save
    await world.apply(world.spec())
    await world.act("stop", "web")
    assert changes[-1] == "stopped"
