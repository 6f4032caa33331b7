"""A rolling reload of an app, and what came of it.

described ──► coming (written down) ──► Roll over its instances ──► the app is that from now on
                                            └── given up ──► what was replaced goes back, the app is what it was
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rookery import errors
from rookery.apps.app import Begun
from rookery.apps.crew import NewBeforeOld, OneByOne
from rookery.cluster.roll import Outcome, Roll
from rookery.lifecycle.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rookery.apps.app import App, Instance
    from rookery.apps.copies import Copy
    from rookery.apps.edition import Edition
    from rookery.apps.events import Events
    from rookery.cluster.roll import Crew
    from rookery.control.messages import ExitInfo


class Reloader:
    """make: makes a copy of an instance; save: writes the state down; is_closing: whether this manager leaves."""

    def __init__(
        self,
        events: Events,
        *,
        make: Callable[[Instance, Edition], Copy],
        changed: Callable[[], None],
        save: Callable[[], Awaitable[None]],
        is_closing: Callable[[], bool],
    ) -> None:
        self._events = events
        self._make = make
        self._changed = changed
        self._save = save
        self._is_closing = is_closing

    async def reload(self, app: App, chosen: Sequence[Instance], coming: Edition | None = None) -> list[Begun]:
        """Replace these, which run; coming: what the app is then, None for what it is.

        It holds the app's turn.
        """
        for one in chosen:
            one.want("running", "reload")
        app.coming = coming
        self._changed()
        await self._save()  # on disk before anything is replaced: a manager that dies is followed by one that goes on
        self._tell(app, "reload_started", f"{len(chosen)} of {len(app.instances)} instances")
        exits: dict[int, ExitInfo | None] = {}
        outcome = await self._roll(app, chosen, coming or app.edition, exits)
        if self._is_closing():
            return []
        if outcome.failed is not None and coming is not None and outcome.replaced:
            back = [one for one in chosen if one.index in outcome.replaced]
            await self._roll(app, back, app.edition, {})
        for one in chosen:
            one.pending = ""
        if outcome.failed is None and coming is not None:
            await app.become(coming)
        else:
            await self._give_up(app)
        self._changed()
        return self._results(app, chosen, outcome, exits, is_back=coming is not None)

    async def replace(self, app: App, one: Instance) -> None:
        """Replace one that has reached a limit. Raises WorkerNotReady, StopFailed; then it goes on."""
        if one not in app.instances or one.unit.state is not State.RUNNING:
            return
        one.pending = "reload"
        self._changed()
        outcome = await self._roll(app, [one], app.edition, {})
        if not self._is_closing():
            one.pending = ""
            self._changed()
        if outcome.failed is not None:
            raise outcome.failed[1]

    async def _roll(
        self, app: App, chosen: Sequence[Instance], edition: Edition, exits: dict[int, ExitInfo | None]
    ) -> Outcome:
        crew: Crew[Copy]
        if edition.is_clustered:
            crew = NewBeforeOld(
                app, edition, make=self._make, changed=self._changed, is_closing=self._is_closing, exits=exits
            )
        else:
            crew = OneByOne(app, self._changed, exits)
        surge = edition.spec.max_surge if edition.is_clustered else 1
        app.rolling = asyncio.ensure_future(Roll(crew, max_surge=surge).run([one.index for one in chosen]))
        try:
            await asyncio.wait({app.rolling})
        finally:
            rolling, app.rolling = app.rolling, None
        if not rolling.cancelled():
            return rolling.result()
        outcome = Outcome()
        outcome.fail(
            -1, errors.OperationFailed("the reload was given up", why="something else was asked for meanwhile")
        )
        return outcome

    async def _give_up(self, app: App) -> None:
        """Be what it was."""
        coming, app.coming = app.coming, None
        if coming is not None:
            for one in app.instances:
                if one.copy.edition is coming:
                    one.copy.describe(app.edition)
            await app.retire(coming)

    def _results(
        self,
        app: App,
        chosen: Sequence[Instance],
        outcome: Outcome,
        exits: dict[int, ExitInfo | None],
        *,
        is_back: bool,
    ) -> list[Begun]:
        if outcome.failed is None:
            self._tell(app, "reload_done", f"{len(outcome.replaced)} instances replaced")
            return [
                Begun(one, "reloaded" if one.index in outcome.replaced else "kept", one.unit.crashes) for one in chosen
            ]
        slot, error = outcome.failed
        reason = error.reason if isinstance(error, errors.WorkerNotReady) else str(error)
        self._tell(app, "reload_failed", reason)
        begun = []
        for one in chosen:
            if one.index == slot or (slot < 0 and one is chosen[0]):
                begun.append(Begun(one, "failed", reason=reason, exit=exits.get(slot)))
            elif one.index in outcome.replaced and not is_back:
                begun.append(Begun(one, "reloaded", one.unit.crashes))
            else:
                begun.append(Begun(one, "kept"))
        return begun

    def _tell(self, app: App, kind: str, reason: str) -> None:
        self._events.add(kind, name=app.spec.name, namespace=app.spec.namespace, reason=reason)
