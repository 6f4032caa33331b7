"""A rolling reload of a whole cluster, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rookery.cluster.roll import Roll
from rookery.cluster.target import kind_of
from rookery.errors import ReloadFailed, UsageError, WorkerNotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rookery._base.clock import Clock
    from rookery.cluster.crew import WorkerCrew
    from rookery.cluster.events import Kind
    from rookery.cluster.launch import Recipe


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """replaced: slots, in order; version: that all workers run now; seconds: how long it took."""

    replaced: tuple[int, ...]
    version: int
    seconds: float


async def reload(
    crew: WorkerCrew, app: Any, env: Mapping[str, str | None], clock: Clock, tell: Callable[[Kind, str], None]
) -> ReloadResult:
    """See Cluster.reload."""
    before, began = crew.recipe, clock.monotonic()
    recipe = _next(before, app, env)
    tell("reload_started", f"version {recipe.version}")
    crew.roll_to(recipe)
    try:
        outcome = await Roll(crew, max_surge=recipe.settings.max_surge).run(sorted(crew.members))
    finally:
        crew.roll_to(None)
    if outcome.failed is not None:
        failed = _failed(*outcome.failed, tuple(outcome.replaced))
        if outcome.replaced:  # two versions are running: the number is taken
            crew.recipe = replace(before, version=recipe.version)
        tell("reload_failed", str(failed))
        raise failed
    crew.recipe = recipe
    seconds = clock.monotonic() - began
    tell("reload_done", f"version {recipe.version}, {seconds:.1f} s")
    return ReloadResult(tuple(outcome.replaced), recipe.version, seconds)


def _next(before: Recipe, app: Any, env: Mapping[str, str | None]) -> Recipe:
    recipe = replace(before, env={**before.env, **env}, version=before.version + 1)
    if app is None:
        return recipe
    kind, name = kind_of(app, before.kind if before.settings.is_runner else "auto")
    if kind != before.kind:
        raise UsageError(f"a reload cannot make {kind!r} of {before.kind!r}", hint="make another cluster")
    return replace(recipe, app=name)


def _failed(slot: int, error: Exception, replaced: tuple[int, ...]) -> ReloadFailed:
    if isinstance(error, WorkerNotReady):
        return ReloadFailed(slot, error.reason, stderr=error.stderr, replaced=replaced)
    return ReloadFailed(slot, str(error), replaced=replaced)
