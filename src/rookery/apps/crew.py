"""What cluster.roll asks of an app's instances: new beside old, or one after the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rookery.apps.translate import exit_info
from rookery.cluster.roll import to_its_end
from rookery.errors import StopFailed, WorkerNotReady
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.apps.app import App, Instance
    from rookery.apps.copies import Copy
    from rookery.apps.edition import Edition
    from rookery.control.messages import ExitInfo

_SETTLE = 1.0
_log = logging.getLogger(__name__)


class NewBeforeOld:
    """Crew of a clustered app. edition: what the new copies are; make: makes one; changed: something is to be written
    down; is_closing: whether this manager leaves: then nothing is ended, the next one goes on; exits: where it writes
    down, by slot, how one ended that did not come up.
    """

    def __init__(
        self,
        app: App,
        edition: Edition,
        *,
        make: Callable[[Instance, Edition], Copy],
        changed: Callable[[], None],
        is_closing: Callable[[], bool],
        exits: dict[int, ExitInfo | None],
    ) -> None:
        self._app = app
        self._edition = edition
        self._make = make
        self._changed = changed
        self._is_closing = is_closing
        self._exits = exits
        self._is_proven = False

    async def begin(self, slot: int) -> Copy | None:
        """See Crew. One that an earlier manager began with is waited for."""
        one = _at(self._app, slot)
        if one is None or one.copy.unit.state is not State.RUNNING:
            return None
        old = one.copy
        new = one.rising
        try:
            if new is None:
                if old.edition.settings.own_ports:  # both would want its port
                    old.retired = True
                    await old.unit.stop()
                new = one.rising = self._make(one, self._edition)
                new.unit.restarts = old.unit.restarts
            self._changed()
            crashes = new.unit.crashes
            await new.unit.start()
            if not await new.unit.settled(crashes=crashes, min_uptime=0.0):
                self._exits[slot] = exit_info(new.unit.last_exit)
                raise _not_ready(slot, new)
        except BaseException:
            if not self._is_closing():
                await to_its_end(self._undo(one, new))
            raise
        return new

    async def _undo(self, one: Instance, new: Copy | None) -> None:
        """It never served: no drain. None: the old one did not go, and there is no new one."""
        try:
            if new is not None:
                new.retired = True
                await new.unit.kill()
                await new.unit.end()
        finally:
            await self._forget(one, new)

    async def settle(self, slot: int, new: Copy) -> None:
        """See Crew. What one worker has shown the others need not show again."""
        unit = new.unit
        if not self._is_proven:
            if not await unit.settled(crashes=unit.crashes, min_uptime=(unit.uptime or 0.0) + _SETTLE, ready=False):
                self._exits[slot] = exit_info(unit.last_exit)
                raise _not_ready(slot, new, after="it was ready, and then ")
            self._is_proven = True

    async def commit(self, slot: int, new: Copy) -> None:
        """See Crew."""
        one = _at(self._app, slot)
        if one is None or self._is_closing():
            return
        old, one.copy, one.rising = one.copy, new, None
        new.unit.last_exit = new.unit.last_exit or old.unit.last_exit
        one.pending = ""
        try:
            await end_beside(one, old, self._changed)
        except StopFailed as error:  # it is shown beside; the new one has its place all the same
            _log.warning("%s:%d: an earlier copy will not go: %s", self._app.spec.name, slot, error)

    async def discard(self, slot: int, new: Copy) -> None:
        """See Crew. It may have taken connections already: it drains."""
        one = _at(self._app, slot)
        if self._is_closing():
            return
        new.retired = True
        try:
            if new.edition is not self._app.edition and new.edition.passing is not None:
                await new.edition.passing.lets_go(new.worker)
            await new.unit.end()
        except StopFailed as error:
            _log.warning("%s:%d: a new copy will not go: %s", self._app.spec.name, slot, error)
        if one is not None:
            await self._forget(one, new)

    async def _forget(self, one: Instance, new: Copy | None) -> None:
        if one.rising is new:
            one.rising = None
        self._changed()
        old = one.copy
        if old.retired and one.desired == "running":  # where the old one had to go first it comes back
            old.retired = False
            await old.unit.start()


async def end_beside(one: Instance, old: Copy, changed: Callable[[], None]) -> None:
    """Drain and end a copy that has its place no more. Raises StopFailed."""
    old.retired = True
    if old not in one.leaving:
        one.leaving.append(old)
    changed()
    try:
        if old.edition is not one.copy.edition and old.edition.passing is not None:
            await old.edition.passing.lets_go(old.worker)
        await old.unit.end()
    finally:
        if old.unit.pid is None and old in one.leaving:
            one.leaving.remove(old)
        changed()


class OneByOne:
    """Crew of an app that is not clustered: each is restarted, and is up before the next one's turn."""

    def __init__(self, app: App, changed: Callable[[], None], exits: dict[int, ExitInfo | None]) -> None:
        self._app = app
        self._changed = changed
        self._exits = exits

    async def begin(self, slot: int) -> Copy | None:
        """See Crew."""
        one = _at(self._app, slot)
        if one is None:
            return None
        await one.unit.restart()
        return one.copy

    async def settle(self, slot: int, new: Copy) -> None:
        """See Crew."""
        unit = new.unit
        if not await unit.settled(crashes=unit.crashes, min_uptime=self._app.spec.min_uptime):
            self._exits[slot] = exit_info(unit.last_exit)
            raise _not_ready(slot, new)

    async def commit(self, slot: int, new: Copy) -> None:  # noqa: ARG002
        """See Crew."""
        one = _at(self._app, slot)
        if one is not None:
            one.pending = ""
            self._changed()

    async def discard(self, slot: int, new: Copy) -> None:
        """See Crew. There is nothing to go back to: its policy decides."""


def _at(app: App, slot: int) -> Instance | None:
    return next((one for one in app.instances if one.index == slot), None)


def _not_ready(slot: int, new: Copy, after: str = "") -> WorkerNotReady:
    unit = new.unit
    last = unit.last_exit
    why = new.care.blame or (after + str(last.status) if last and last.lifetime else unit.reason)
    code = None if last is None else last.status.returncode
    return WorkerNotReady(slot, why, returncode=code, stderr=() if last is None else last.stderr)
