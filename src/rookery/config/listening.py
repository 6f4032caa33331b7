"""Apps that share listening sockets: what their settings become, and which go together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rookery._base.binds import parse_bind
from rookery.config.contradictions import CLUSTER_KEYS, KINDS_OF_KEY, PYTHON_KINDS
from rookery.config.lookup import absolute
from rookery.config.report import BadValue
from rookery.config.server_options import with_absolute_files
from rookery.config.values import expected, text
from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from rookery.config.spec import AppSpec

DEFAULT_BIND = ("127.0.0.1:8000",)
"""Of an app that says no other."""
_NODE_SCRIPTS = (".cjs", ".js", ".mjs")
_NODE = ("node", "nodejs")


def binds(value: object) -> tuple[str, ...]:
    """Places to listen at, each once, in one spelling; the path of a Unix socket stays as it was written."""
    if isinstance(value, str):
        return (_bind(text(value)),)
    if not isinstance(value, list | tuple):
        raise expected("a place to listen at such as '127.0.0.1:8000', or a list of them", value)
    if not value:
        raise BadValue("must not be empty", hint="leave it out, or name a place to listen at")
    found: list[str] = []
    for index, one in enumerate(value):
        try:
            place = _bind(text(one))
        except BadValue as bad:
            raise BadValue(bad.problem, hint=bad.hint, path=(index,)) from None
        if place in found and not place.endswith(":0"):
            raise BadValue(f"{place!r} stands there twice", path=(index,))
        found.append(place)
    return tuple(found)


def _bind(value: str) -> str:
    try:
        return str(parse_bind(value))
    except UsageError as error:
        what = f"{error.what}: {error.why}" if error.why else error.what
        raise BadValue(what, hint=error.hint) from None


def is_clustered(settings: Mapping[str, Any]) -> bool:
    """Whether the instances share sockets: it says where to listen, or is an app, which always does."""
    return "bind" in settings or "app" in settings


def settled(
    settings: Mapping[str, Any],
    command: Sequence[str],
    own: Collection[str],
    *,
    folder: str,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """The settings with the kind found and all places absolute.

    command: as it will run; own: the keys that the app itself has: others, of the defaults, are left out where they
    mean nothing to it. Raises BadValue where its own do.
    """
    found = dict(settings)
    if not is_clustered(found):
        _drop(found, own, CLUSTER_KEYS, "means nothing without bind", 'say where to listen: bind = "127.0.0.1:8000"')
        return found
    kind = found["kind"] = _kind(found, command)
    _check_kind(kind, has_app="app" in found)
    for key, kinds in KINDS_OF_KEY.items():
        if kind not in kinds:
            _drop(found, own, (key,), f"means nothing for kind {kind!r}", f"it is for {', '.join(sorted(kinds))}")
    found["bind"] = tuple(_absolute(place, folder, environ) for place in found.get("bind", DEFAULT_BIND))
    if "options" in found:
        found["options"] = with_absolute_files(found["options"], folder, environ)
    return found


def clashes(specs: Iterable[AppSpec]) -> Iterator[tuple[AppSpec, str, AppSpec]]:
    """Each app that would listen where an earlier one does: the app, the place, the earlier one."""
    taken: dict[str, AppSpec] = {}
    for spec in specs:
        for place in spec.bind:
            if not place.endswith(":0") and taken.setdefault(place, spec) is not spec:
                yield spec, place, taken[place]


def _drop(found: dict[str, Any], own: Collection[str], keys: Collection[str], problem: str, hint: str) -> None:
    for key in [key for key in found if key in keys]:
        if key in own:
            raise BadValue(problem, hint=hint, path=(key,))
        del found[key]


def _kind(settings: Mapping[str, Any], command: Sequence[str]) -> str:
    if "kind" in settings:
        return str(settings["kind"])
    if "app" in settings:
        return "app"
    program = os.path.basename(command[0])
    is_node = program in _NODE or (len(command) == 1 and program.endswith(_NODE_SCRIPTS))
    return "node" if is_node else "command"


def _check_kind(kind: str, *, has_app: bool) -> None:
    if has_app and kind not in PYTHON_KINDS:
        raise BadValue(f"{kind!r} is a program, and app is none", hint="name it as script or command", path=("kind",))
    if not has_app and kind in PYTHON_KINDS:
        hint = 'name it "package.module:attribute", in a file as app'
        raise BadValue(f"{kind!r} is an object in a module, not a program", hint=hint, path=("kind",))


def _absolute(place: str, folder: str, environ: Mapping[str, str]) -> str:
    path = place.removeprefix("unix:")
    return place if path == place else f"unix:{absolute(path, folder, environ)}"
