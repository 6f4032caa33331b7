"""What is in the environment of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery._base.ids import COOKIE
from rookery._os import kernel
from rookery.apps.translate import spawn_spec
from rookery.config.environment import mask
from rookery.control.messages import InstanceEnv

if TYPE_CHECKING:
    from rookery.apps.app import Instance


def environment_of(one: Instance, *, reveal: bool) -> InstanceEnv:
    """Of its next copy and of the one that runs. reveal: with secrets. Raises UserUnknown."""
    app, unit = one.app, one.unit
    coming = {**(spawn_spec(app.spec, app.base_env, one.index).env or {}), COOKIE: unit.cookie_of(unit.generation + 1)}
    running = None
    if unit.pid is not None and unit.start_time is not None:
        running = kernel.environment(unit.pid)
        if not kernel.is_alive(unit.pid, unit.start_time):  # looked at afterwards: then it was it that we read
            running = None
    if not reveal:
        coming = mask(coming)
        running = None if running is None else mask(running)
    return InstanceEnv(
        id=one.id,
        name=app.spec.name,
        index=one.index,
        next=coming,
        running=running,
        made_at_start=["NOTIFY_SOCKET"] if app.spec.readiness.notify else [],
    )
