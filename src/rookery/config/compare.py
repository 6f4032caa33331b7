"""What making apps run as described would change. Pure: descriptions in, differences out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from rookery._base.units import format_duration, format_size
from rookery.config import system_values, values
from rookery.config.environment import mask_options
from rookery.config.keys import APP
from rookery.config.reader import Fields, Scalar
from rookery.config.spec import AppSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Kind = Literal["new", "changed", "scaled", "down", "unchanged", "left"]
"""changed: its instances are restarted; scaled: only some come or go; down: as described, but not all of it runs;
left: it came from the file, is not in it any more, and goes on."""

_NOT_COMPARED = frozenset({"name", "instances", "origin"})
_DURATIONS = (values.duration, values.duration_above_zero, values.time_limit, values.whole_seconds)
_LIMITS = (values.count_limit, values.time_limit)
_SIZES = (values.size, values.size_above_zero)


class Known(NamedTuple):
    """An app that the manager knows. spec: its AppSpec as JSON; instances: how many; down: how many of them are down
    and would be started.
    """

    spec: Mapping[str, Any]
    instances: int
    down: int = 0


class Change(NamedTuple):
    """One key. old, new: None where it is not set; shown as text by shown()."""

    key: str
    old: Any
    new: Any


class Difference(NamedTuple):
    """One app. before, after: its instances; elsewhere: the file that it came from until now, where that is another."""

    name: str
    kind: Kind
    changes: tuple[Change, ...] = ()
    before: int = 0
    after: int = 0
    down: int = 0
    elsewhere: str = ""


def compare(wanted: Sequence[AppSpec], known: Mapping[str, Known], origins: Iterable[str] = ()) -> list[Difference]:
    """Every app that is wanted, in its order, then those that are left.

    known: by name; origins: the files of which all apps are wanted.
    """
    found = [_one(spec, known.get(spec.name)) for spec in wanted]
    names, files = {spec.name for spec in wanted}, set(origins)
    for name, one in known.items():
        if name not in names and one.spec.get("origin") in files:
            found.append(Difference(name, "left", before=one.instances, after=one.instances))
    return found


def _one(spec: AppSpec, known: Known | None) -> Difference:
    if known is None:
        return Difference(spec.name, "new", after=spec.instances)
    changes = tuple(_changes(known.spec, spec))
    origin = known.spec.get("origin") or ""
    kind: Kind = "unchanged"
    if changes:
        kind = "changed"
    elif known.instances != spec.instances:
        kind = "scaled"
    elif known.down:
        kind = "down"
    elsewhere = origin if origin != spec.origin else ""
    return Difference(spec.name, kind, changes, known.instances, spec.instances, known.down, elsewhere)


def _changes(old: Mapping[str, Any], spec: AppSpec) -> list[Change]:
    # What an older manager does not know it does as a newer one does by default.
    defaults = msgspec.to_builtins(AppSpec(name=spec.name, command=("",), cwd="/"))
    before, after = _flat({**defaults, **old}), _flat(msgspec.to_builtins(spec))
    return [
        Change(key, before.get(key), after.get(key))
        for key in dict.fromkeys((*after, *before))
        if before.get(key) != after.get(key)
    ]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if not prefix and key in _NOT_COMPARED:
            continue
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return found


def masked(change: Change) -> Change:
    """The change with secrets as ``***``."""
    table, dot, name = change.key.partition(".")
    if table not in ("env", "options") or not dot:
        return change
    old, new = (None if value is None else mask_options({name: value})[name] for value in (change.old, change.new))
    return Change(change.key, old, new)


def shown(key: str, value: Any) -> str:
    """A value as people write it: ``10s``, ``64K``, ``022``."""
    kind = _kind(key)
    if value is None:
        return values.NEVER if isinstance(kind, Scalar) and kind.convert in _LIMITS else "none"
    if value in ("", []):
        return "none"
    if isinstance(kind, Scalar) and kind.convert in _DURATIONS:
        return format_duration(value)
    if isinstance(kind, Scalar) and kind.convert in _SIZES:
        return format_size(value)
    if isinstance(kind, Scalar) and kind.convert is system_values.umask:
        return f"{value:03o}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)


def _kind(key: str) -> object:
    found: object = APP
    for part in key.split("."):
        found = found.known.get(part) if isinstance(found, Fields) else None
    return found
