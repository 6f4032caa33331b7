"""What can be done with one instance."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery import errors
from rookery.apps.app import Begun
from rookery.lifecycle.hints import Streak
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rookery.apps.app import App, Instance
    from rookery.apps.events import Events


class Acts:
    """apps: all apps, from which one goes with its last instance; changed, save: see AppManager.

    Whoever settles compares the count of crashes from after the operation: one before it is the reason for it.
    """

    def __init__(
        self, apps: dict[str, App], events: Events, changed: Callable[[], None], save: Callable[[], Awaitable[None]]
    ) -> None:
        self._apps = apps
        self._events = events
        self._changed = changed
        self._save = save

    async def start(self, one: Instance) -> Begun:
        """Start it unless it runs. Raises LinkError, StopFailed."""
        if one.unit.state is not State.RUNNING:
            one.streak = Streak()
        did = "started" if await one.unit.start() else "unchanged"
        return Begun(one, did, one.unit.crashes)

    async def restart(self, one: Instance) -> Begun:
        """Stop it where it runs, then start it. Raises LinkError, StopFailed."""
        was_up = one.unit.state in (State.RUNNING, State.BACKOFF)
        one.streak = Streak()
        await one.unit.restart()
        one.pending = ""
        return Begun(one, "restarted" if was_up else "started", one.unit.crashes)

    async def stop(self, one: Instance) -> Begun:
        """Stop whatever of it runs. Raises StopFailed."""
        was_stopped = one.unit.state is State.STOPPED
        await _down(one)
        return Begun(one, "already stopped" if was_stopped else "stopped")

    async def delete(self, one: Instance) -> Begun:
        """Stop and forget it, and with the last one its app.

        Raises StopFailed: where it will not go it stays; where only the app's acceptor will not, it is forgotten.
        """
        app = one.app
        await _down(one)
        await one.copy.close()
        app.instances.remove(one)
        app.door.drop(app.edition, one.index)
        try:
            if not app.instances and self._apps.get(app.spec.name) is app:
                del self._apps[app.spec.name]
                try:
                    await app.shut()
                finally:
                    await app.close()
        finally:
            self._events.add("delete", one, reason="deleted")
            self._changed()
        return Begun(one, "deleted")

    async def dismiss(self, chosen: Sequence[Instance]) -> list[Begun]:
        """Write down what is meant, then delete these: a manager that dies in between is followed by one that knows."""
        for one in chosen:
            one.want("stopped", "delete")
        self._changed()
        await self._save()
        return await asyncio.gather(*(self.delete(one) for one in chosen))


async def _down(one: Instance) -> None:
    for copy in one.leaving:
        with suppress(errors.UsageError):  # it has been ended meanwhile
            await copy.unit.stop()
    await one.unit.stop()
