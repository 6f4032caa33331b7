"""Waiting in the loop for what only looking can see."""

from __future__ import annotations

import asyncio

import pytest

from capabilities import DEADLINE


@pytest.fixture
def until():
    """``await until(condition)``: give the loop its turns until condition() is true."""

    async def wait(condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - any fact, not only what somebody would set an event for
                await asyncio.sleep(0.001)

    return wait
