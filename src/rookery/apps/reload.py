"""A rolling reload of an app, and what came of it.

described ──► coming (written down) ──► Roll over its instances ──► the app is that from now on
                                            └── given up ──► what was replaced goes back, the app is what it was
"""

from __future__ import annotations

import asyncio
import logging
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


_INTERRUPTED = -1
"""The slot of what was given up for another request."""
_log = logging.getLogger(__name__)


def check_covered(app: App, chosen: Sequence[Instance]) -> None:
    """Raise UsageError where another environment is to be for some of those only that share sockets."""
    if app.edition.is_clustered and any(one not in chosen for one in app.running):
        name = app.spec.name
        raise errors.UsageError(
            f"{name} cannot have another environment for some of its instances",
            why="those that share sockets have one description",
            hint=f"rook reload {name} --update-env",
        )


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

        It holds the app's turn. What a worker does is told in what it returns. Raises LinkError where the keeper
        cannot be reached, StopFailed where an acceptor will not go, and what save raises; then it has been given up.
        Given up by App.interrupt(), not by cancelling.
        """
        for one in chosen:
            one.want("running", "reload")
        app.coming = coming
        try:
            return await self._carry_out(app, chosen, coming)
        except Exception as error:
            await self._break_off(app, chosen, error)
            raise

    async def _carry_out(self, app: App, chosen: Sequence[Instance], coming: Edition | None) -> list[Begun]:
        self._changed()
        await self._save()  # on disk before anything is replaced: a manager that dies is followed by one that goes on
        self._tell(app, "reload_started", f"{len(chosen)} of {len(app.instances)} instances")
        exits: dict[int, ExitInfo | None] = {}
        outcome = await self._roll(app, chosen, coming or app.edition, exits)
        if self._is_closing():
            return []
        kept_back: dict[int, str] = {}
        if outcome.failed is not None and coming is not None:
            kept_back = await self._go_back(app, chosen, coming)
        if self._is_closing():
            return []
        for one in chosen:
            one.pending = ""
        if outcome.failed is None and coming is not None:
            await app.become(coming)
        else:
            await self._give_up(app)
        self._changed()
        return self._results(app, chosen, outcome, exits, None if coming is None else kept_back)

    async def _go_back(self, app: App, chosen: Sequence[Instance], coming: Edition) -> dict[int, str]:
        """Replace what has been replaced by what it was; why not, by slot, where that failed too."""

        def away() -> list[Instance]:
            return [one for one in chosen if one in app.running and one.copy.edition is coming]

        outcome = Outcome()
        while back := [one for one in away() if one not in app.going]:
            outcome = await self._roll(app, back, app.edition, {}, is_back=True)
            if outcome.failed is None or outcome.failed[0] != _INTERRUPTED or self._is_closing():
                break
        why = "" if outcome.failed is None else _reason(outcome.failed[1])
        return {one.index: f"it did not go back: {why}" for one in away() if one not in app.going}

    async def _break_off(self, app: App, chosen: Sequence[Instance], error: Exception) -> None:
        if self._is_closing():
            return
        for one in chosen:
            one.pending = "" if one.pending == "reload" else one.pending
        await self._give_up(app)
        self._tell(app, "reload_failed", str(error))
        self._changed()

    async def replace(self, app: App, one: Instance) -> None:
        """Replace one that has reached a limit. Raises WorkerNotReady, StopFailed, LinkError; then it goes on."""
        if one not in app.instances or one.unit.state is not State.RUNNING:
            return
        one.pending = "reload"
        self._changed()
        try:
            outcome = await self._roll(app, [one], app.edition, {})
        except Exception as error:
            await self._break_off(app, [one], error)
            raise
        if not self._is_closing():
            one.pending = ""
            self._changed()
        if outcome.failed is not None:
            raise outcome.failed[1]

    async def _roll(
        self,
        app: App,
        chosen: Sequence[Instance],
        edition: Edition,
        exits: dict[int, ExitInfo | None],
        *,
        is_back: bool = False,
    ) -> Outcome:
        if app.is_interrupted and not is_back:
            return _interrupted()
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
        return _interrupted()

    async def _give_up(self, app: App) -> None:
        """Be what it was; what is of the other edition and lives keeps its sockets until it ends (see App.left)."""
        coming, app.coming = app.coming, None
        if coming is None:
            return
        for one in app.instances:
            if one.copy.edition is coming and one.unit.pid is None:
                one.copy.describe(app.edition)
        if all(copy.edition is not coming for copy in app):
            try:
                await app.retire(coming)
            except errors.RookeryError as error:  # what came of the reload is worth more
                _log.warning("%s: what it was to be does not go: %s", app.spec.name, error)

    def _results(
        self,
        app: App,
        chosen: Sequence[Instance],
        outcome: Outcome,
        exits: dict[int, ExitInfo | None],
        kept_back: dict[int, str] | None,
    ) -> list[Begun]:
        """kept_back: why those that were replaced are not what they were, by slot; None: they are not to be."""
        if outcome.failed is None:
            self._tell(app, "reload_done", f"{len(outcome.replaced)} instances replaced")
            return [
                Begun(one, "reloaded" if one.index in outcome.replaced else "kept", one.unit.crashes) for one in chosen
            ]
        slot, error = outcome.failed
        reason = _reason(error)
        self._tell(app, "reload_failed", reason)
        begun = []
        for one in chosen:
            if one.index == slot or (slot < 0 and one is chosen[0]):
                begun.append(Begun(one, "failed", reason=reason, exit=exits.get(slot)))
            elif kept_back and one.index in kept_back:
                hint = f"rook reload {app.spec.name} tries again"
                begun.append(Begun(one, "failed", reason=kept_back[one.index], hint=hint))
            elif one.index in outcome.replaced and kept_back is None:
                begun.append(Begun(one, "reloaded", one.unit.crashes))
            else:
                begun.append(Begun(one, "kept"))
        return begun

    def _tell(self, app: App, kind: str, reason: str) -> None:
        self._events.add(kind, name=app.spec.name, namespace=app.spec.namespace, reason=reason)


def _interrupted() -> Outcome:
    outcome = Outcome()
    why = "something else was asked for meanwhile"
    outcome.fail(_INTERRUPTED, errors.OperationFailed("the reload was given up", why=why))
    return outcome


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, errors.WorkerNotReady) else str(error)
