"""From a recipe and a place to a process: argv, environment and descriptors, one function for each kind."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rookery.cluster import contract
from rookery.cluster.contract import Orders
from rookery.process.gate import telling_pid
from rookery.process.lookup import exists, explain, find
from rookery.worker import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rookery.cluster.settings import Settings

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# At the end: what lies beside the package must not hide what the interpreter would find.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from rookery.cluster.runner.main import main; main()"


@dataclass(frozen=True)
class Recipe:
    """How the workers of one version are started. version: counts up with each reload; env: on top of the settings'."""

    settings: Settings
    app: str | tuple[str, ...]
    kind: str
    env: Mapping[str, str | None] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True)
class Place:
    """What one worker is given. The numbers are descriptors of this process, or what it will find them as.

    slot: from 0; id: counts up over all workers; sockets: listening, for this slot; addresses: where they listen, one
    for each where there are several; page: of statistics; notify: the value of NOTIFY_SOCKET; channel: the worker's
    end, or -1; port: its own, or None; ours: the sockets as descriptors of this process, where the numbers are not.
    """

    slot: int
    id: int
    sockets: tuple[int, ...]
    page: int
    notify: str
    channel: int = -1
    addresses: tuple[str, ...] = ()
    port: int | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    ours: tuple[int, ...] = ()


@dataclass(frozen=True)
class Launch:
    """A process to be started.

    env: on top of the environment of its recipe, None takes a variable away; fds: {its number: descriptor of ours},
    above the standard ones.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str | None]
    fds: Mapping[int, int]


def launch(recipe: Recipe, place: Place) -> Launch:
    """How this worker is started."""
    return _LAUNCHERS.get(recipe.kind, by_runner)(recipe, place)


def codec_of(kind: str) -> str:
    """The codec of the channel to workers of this kind."""
    return "node" if kind == "node" else "msgpack"


def facts(recipe: Recipe, place: Place) -> dict[str, str | None]:
    """The variables that every worker finds."""
    found: dict[str, str | None] = dict.fromkeys(words.ALL)
    found |= {
        contract.SLOT: str(place.slot),
        contract.WORKER_ID: str(place.id),
        contract.APP: recipe.settings.name,
        contract.NOTIFY: place.notify,
        contract.RUNNER: None,
        contract.LISTEN_FDS: None,
        contract.LISTEN_PID: None,
        contract.LISTEN_NAMES: None,
        "WATCHDOG_USEC": None,
        "WATCHDOG_PID": None,
    }
    if place.port is not None:
        found["PORT"] = str(place.port)
    if place.channel >= 0:
        if codec_of(recipe.kind) == "node":
            found |= {words.NODE_FD: str(place.channel), words.NODE_MODE: "json"}
        else:
            found |= {words.FD: str(place.channel), words.CODEC: codec_of(recipe.kind)}
    return found


def by_runner(recipe: Recipe, place: Place) -> Launch:
    """An app of Python's, in our runner. Descriptors keep their numbers: no gate is needed to place them."""
    settings = recipe.settings
    app = recipe.app if isinstance(recipe.app, str) else recipe.app[0]
    is_web = recipe.kind not in ("socket", "connection")
    orders = Orders(
        app=app,
        kind=recipe.kind,
        factory=settings.factory,
        sockets=place.sockets,
        page=place.page,
        linger=settings.linger,
        drain_timeout=settings.drain_timeout,
        graceful_timeout=settings.graceful_timeout,
        request_timeout=settings.request_timeout,
        check=settings.ready.removeprefix("http:") if settings.ready.startswith("http:") else "",
        options={**({"backlog": settings.backlog} if is_web else {}), **settings.options, **settings.ssl},
        path=tuple(os.path.abspath(entry) for entry in sys.path),
        source=dict(place.source),
    )
    python = sys.executable if settings.interpreter is None else settings.interpreter
    argv = (python, "-c", _CODE, _ROOT, app, *settings.args)
    env = {**facts(recipe, place), contract.RUNNER: contract.encode(orders)}
    own = (*place.sockets, place.page, *([place.channel] if place.channel >= 0 else []))
    passed: Sequence[int] = place.source.get("fds", ())
    return Launch(argv, env, {fd: fd for fd in (*own, *passed)})


def by_program(recipe: Recipe, place: Place) -> Launch:
    """Any program: sockets from descriptor 3 on, and {fd}, {port}, {slot} in its arguments."""
    settings = recipe.settings
    command = (recipe.app,) if isinstance(recipe.app, str) else recipe.app
    known = {"{slot}": str(place.slot), "{fd}": str(contract.FIRST_FD)}
    if place.port is not None:
        known["{port}"] = str(place.port)
    argv = [_filled(part, known) for part in (*command, *settings.args)]
    env = facts(recipe, place)
    fds = dict(enumerate(place.sockets, contract.FIRST_FD))
    if place.channel >= 0:
        number = contract.FIRST_FD + len(fds)
        fds[number] = place.channel
        env[words.FD] = str(number)
    if place.sockets:
        env |= {
            contract.LISTEN_FDS: str(len(place.sockets)),
            contract.LISTEN_NAMES: ":".join(address.replace(":", "_") for address in place.addresses),
        }
        argv = telling_pid(argv)
    return Launch(tuple(argv), env, fds)


def _filled(part: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        part = part.replace(name, value)
    return part


def by_node(recipe: Recipe, place: Place) -> Launch:
    """An unmodified Node server, its listen() led to the shared socket."""
    from rookery.cluster.node.launch import node  # noqa: PLC0415 - only where Node is asked for

    return node(recipe, place)


_LAUNCHERS: dict[str, Callable[[Recipe, Place], Launch]] = {"program": by_program, "node": by_node}


def merged(*parts: Mapping[str, str | None]) -> dict[str, str]:
    """One environment of several, the later ones on top; None takes a variable away."""
    env: dict[str, str] = {}
    for part in parts:
        for name, value in part.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
    return env


def check_program(argv: tuple[str, ...], recipe: Recipe, env: Mapping[str, str], cwd: str | None) -> None:
    """A program behind a gate that is not there: the gate would only say 127. Raises CommandNotFound."""
    if recipe.kind != "program" or isinstance(recipe.app, str):
        return
    program = recipe.app[0]
    if argv[0] != program and find(program, env, cwd) is None:
        number = errno.EACCES if exists(program, env, cwd) else errno.ENOENT
        raise explain(number, recipe.app, stage="exec", env=env, cwd=cwd)
