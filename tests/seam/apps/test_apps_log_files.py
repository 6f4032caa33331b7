"""What the API refuses about logs: contradictions, a shared file, and output that a manager has no place for."""

from __future__ import annotations

import pytest

from rookery.config.spec import LogSpec
from rookery.control.messages import ScaleRequest
from rookery.errors import ConfigError


@pytest.mark.parametrize(
    ("logs", "says"),
    [
        (LogSpec(via="stdout"), "a manager has none to show it on"),
        (LogSpec(json=True, prefix=True), "logs.prefix: a prefix makes no JSON"),
        (LogSpec(via="direct", combined=True), "logs.combined: does not go with via"),
        (LogSpec(compress=True, keep=0), "nothing to compress with keep = 0"),
        (LogSpec(timestamps="%Q"), "logs.timestamps: "),
        (LogSpec(timestamps=""), "pattern is empty"),
    ],
)
async def test_settings_that_cannot_be(world, logs, says):
    with pytest.raises(ConfigError) as caught:
        await world.apply(world.spec(logs=logs))
    assert says in str(caught.value)
    assert world.apps.apps == {}


async def test_two_apps_of_one_request(world):
    one, other = world.spec("a"), world.spec("a-0", logs=LogSpec(merge="instances"))
    with pytest.raises(ConfigError) as caught:
        await world.apply(one, other)
    assert "'a'" in caught.value.problem
    assert "'a-0'" in caught.value.problem
    assert "a-0.out.log" in caught.value.problem
    assert "another name or another logs.merge (a-0: instances, a: none)" in caught.value.hint
    assert world.apps.apps == {}


async def test_an_app_beside_one_that_is_there(world):
    await world.apply(world.spec("a"))
    with pytest.raises(ConfigError, match=r"a-0\.err\.log|a-0\.out\.log"):
        await world.apply(world.spec("a-0", logs=LogSpec(merge="instances")))
    await world.apply(world.spec("a-1", logs=LogSpec(merge="instances")))
    await world.apply(world.spec("a"))  # itself it may replace
    with pytest.raises(ConfigError, match=r"a-1\.out\.log"):
        await world.apply(world.spec("a", instances=2))
    assert world.states == {"a:0": "running", "a-1:0": "running"}


async def test_scaling_onto_the_file_of_another_app(world):
    await world.apply(world.spec("a"), world.spec("a-1", logs=LogSpec(merge="instances")))
    with pytest.raises(ConfigError, match=r"'a-1' and 'a'|'a' and 'a-1'"):
        await world.apps.scale(ScaleRequest(name="a", instances=2))
    assert world.states == {"a:0": "running", "a-1:0": "running"}
