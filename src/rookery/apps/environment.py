"""What is in the environment of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery._base.ids import COOKIE
from rookery._os import kernel
from rookery.apps.translate import spawn_spec
from rookery.cluster import contract
from rookery.cluster.node.launch import OPTIONS, ORDERS
from rookery.config.environment import mask
from rookery.control.messages import InstanceEnv
from rookery.worker import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.apps.app import Instance
    from rookery.config.spec import AppSpec

_ORDERS = frozenset({contract.RUNNER, ORDERS})
"""Ours to our own part of a worker, with all options: nothing of the app's, and not masked."""
_MADE = (
    *(contract.NOTIFY, contract.APP, contract.SLOT, contract.WORKER_ID),
    *(contract.LISTEN_FDS, contract.LISTEN_PID, contract.LISTEN_NAMES, "PORT"),
    *(OPTIONS, "NODE_UNIQUE_ID", words.NODE_FD, words.NODE_MODE, words.FD, words.CODEC),
)


def environment_of(one: Instance, *, reveal: bool) -> InstanceEnv:
    """Of its next copy and of the one that runs. reveal: with secrets. Raises UserUnknown."""
    app, unit = one.app, one.unit
    coming = {**(spawn_spec(app.spec, app.base_env, one.index).env or {}), COOKIE: unit.cookie_of(unit.generation + 1)}
    running = None
    if unit.pid is not None and unit.start_time is not None:
        running = kernel.environment(unit.pid)
        if not kernel.is_alive(unit.pid, unit.start_time):  # looked at afterwards: then it was it that we read
            running = None
    if running is not None:
        running = {name: value for name, value in running.items() if name not in _ORDERS}
    made = _made_at_start(app.spec, running or {})
    if not reveal:
        coming = mask(coming)
        running = None if running is None else mask(running)
    return InstanceEnv(
        id=one.id,
        name=app.spec.name,
        index=one.index,
        next=coming,
        running=running,
        made_at_start=made,
    )


def _made_at_start(spec: AppSpec, running: Mapping[str, str]) -> list[str]:
    if spec.bind:
        return [name for name in _MADE if name in running and name not in spec.env] or [contract.NOTIFY]
    return [contract.NOTIFY] if spec.readiness.notify else []
