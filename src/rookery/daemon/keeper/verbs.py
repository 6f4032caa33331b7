"""What can be asked of the keeper, verb by verb.

A request is {"id", "verb", ...}; its answer {"id", "ok": true, ...} or {"id", "ok": false, "error": {...}}. Unasked,
the holder of the lease gets {"event": "exit" | "terminate" | "lease_lost" | "upgrade_failed" | "reexec" |
"reexec_failed", ...}.
"""

from __future__ import annotations

import os

from rookery import errors
from rookery.daemon.keeper.children import Child, signal_child
from rookery.daemon.keeper.programs import Command
from rookery.process.spec import from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rookery.daemon.keeper.core import Keeper
    from rookery.daemon.keeper.wire import Connection

VERSION = 1
FEATURES = (
    "lease", "spawn", "signal", "list", "put", "get", "drop", "exits", "ack", "start_collector", "adopt", "handed_over",
    "upgrade", "reexec", "stop",
)  # fmt: skip
_WITHOUT_LEASE = {"hello", "lease", "list", "exits"}

Reply = tuple[dict[str, object], list[int]]


def answer(
    keeper: Keeper, connection: Connection, request: dict[str, Any], *, watch: Callable[[int], None]
) -> Reply | None:
    """Do what the request says; return the answer and the descriptors that go with it, None where it comes later.

    watch: to be called with the pidfd of a process that was adopted.
    Raises FrameError where its descriptors did not come; whatever else is wrong with it is answered.
    """
    fds = connection.take_fds(request.get("fds", 0))
    verb = request.get("verb")
    try:
        if verb not in _WITHOUT_LEASE and (not connection.epoch or connection.epoch != keeper.epoch):
            raise errors.StaleLease(
                f"epoch {connection.epoch} is over", why=f"epoch {keeper.epoch} has been granted since"
            )
        if verb == "put":
            return _put(keeper, request, fds), []
        if verb == "adopt":
            return _adopt(keeper, request, fds, watch), []
        function = _VERBS.get(str(verb))
        if function is None:
            raise errors.LinkError(f"the keeper knows no verb {verb!r}", why=f"its version is {VERSION}")
        return function(keeper, connection, request)
    except errors.RookeryError as error:
        return {"ok": False, "error": _error_to_json(error)}, []
    except Exception as error:  # no request, however malformed, may end the parent of everything
        return {"ok": False, "error": {"type": "LinkError", "what": f"bad request {verb}: {error!r}"}}, []
    finally:
        for fd in fds:
            os.close(fd)


def _error_to_json(error: errors.RookeryError) -> dict[str, object]:
    plain: dict[str, object] = {"type": type(error).__name__, "what": error.what, "why": error.why, "hint": error.hint}
    if isinstance(error, errors.SpawnError):
        plain |= {"argv": list(error.argv), "cwd": error.cwd, "errno": error.errno}
    if isinstance(error, errors.CommandNotFound):
        plain["near"] = list(error.near)
    return plain


def _hello(keeper: Keeper, _: Connection, __: dict[str, Any]) -> Reply:
    features = [*FEATURES, *(["subreaper"] if keeper.is_subreaper else [])]
    return {"version": VERSION, "features": features, "pid": os.getpid(), "scope": keeper.scope}, []


def _lease(keeper: Keeper, connection: Connection, request: dict[str, Any]) -> Reply | None:
    connection.lease_id = request.get("id")
    return ({"epoch": keeper.epoch}, []) if keeper.grant(connection, int(request.get("after", 0))) else None


def _spawn(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    key, generation = str(request["key"]), int(request["generation"])
    if key.startswith("@"):
        raise errors.LinkError(f"the key {key!r} is the keeper's own")
    try:
        spec = from_json(request["spec"])
        fds = {number: keeper.store[str(name)] for number, name in spec.fds.items()}
        child = keeper.children.spawn(spec, fds, key, generation)
    except errors.RookeryError:
        raise
    except OSError as error:
        raise errors.ResourcesExhausted(f"the system gave no more resources: {error}") from None
    except Exception as error:
        raise errors.SpawnError(f"its description cannot be followed: {error!r}") from None
    return {"child": child.to_json()}, []


def _signal(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    child = keeper.children.get(str(request["key"]), int(request["generation"]))
    return {"sent": child is not None and signal_child(child, int(request["number"]))}, []


def _list(keeper: Keeper, _: Connection, __: dict[str, Any]) -> Reply:
    collector = keeper.collector.child
    return {
        "children": [child.to_json() for child in keeper.children.all() if child.is_app],
        "stored": keeper.store.names(),
        "collector": None if collector is None else collector.pid,
    }, []


def _exits(keeper: Keeper, _: Connection, __: dict[str, Any]) -> Reply:
    ended = [child for child in keeper.children.all() if child.ended_at is not None]
    return {"children": [child.to_json() for child in ended if child.is_app]}, []


def _ack(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    keeper.children.forget(str(request["key"]), int(request["generation"]))
    return {}, []


def _put(keeper: Keeper, request: dict[str, Any], fds: list[int]) -> dict[str, object]:
    names = [str(name) for name in request["names"]]
    if len(names) != len(fds):
        raise errors.FrameError(f"{len(names)} names for {len(fds)} descriptors")
    for name, fd in zip(names, fds, strict=True):
        keeper.store.keep(name, fd)
    return {}


def _get(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    found = [name for name in map(str, request["names"]) if name in keeper.store]
    return {"names": found, "fds": len(found)}, [keeper.store[name] for name in found]


def _drop(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    for name in request["names"]:
        keeper.store.let_go(str(name))
    return {}, []


def _start_collector(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    keeper.want_collector(from_json(request["spec"]))
    child = keeper.collector.child
    return {"pid": None if child is None else child.pid}, []


def _adopt(keeper: Keeper, request: dict[str, Any], fds: list[int], watch: Callable[[int], None]) -> dict[str, object]:
    """Watch a process of a killed keeper; fds: its pidfd, opened while it lived, or none."""
    child = Child(
        str(request["key"]),
        int(request["generation"]),
        int(request["pid"]),
        int(request["start_time"]),
        float(request["started_at"]),
    )
    pidfd = keeper.children.adopt(child, os.dup(fds[0]) if fds else None)
    if pidfd is not None:
        watch(pidfd)
    known = keeper.children.get(child.key, child.generation) or child
    return {"child": known.to_json()}


def _handed_over(keeper: Keeper, _: Connection, __: dict[str, Any]) -> Reply:
    keeper.handed_over()
    return {}, []


def _upgrade(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    child = keeper.managers.try_upgrade(Command(str(request["python"]), str(request["root"])))
    return {"pid": child.pid}, []


def _reexec(keeper: Keeper, _: Connection, request: dict[str, Any]) -> Reply:
    keeper.check_and_reexec(Command(str(request["python"]), str(request["root"])))
    return {}, []


def _stop(keeper: Keeper, _: Connection, __: dict[str, Any]) -> Reply:
    left = keeper.children.apps_running()
    if left:
        raise errors.StopFailed([child.pid for child in left], 0.0)
    keeper.leave()
    return {}, []


_VERBS: dict[str, Callable[[Keeper, Connection, dict[str, Any]], Reply | None]] = {
    "hello": _hello,
    "lease": _lease,
    "spawn": _spawn,
    "signal": _signal,
    "list": _list,
    "exits": _exits,
    "ack": _ack,
    "get": _get,
    "drop": _drop,
    "start_collector": _start_collector,
    "handed_over": _handed_over,
    "upgrade": _upgrade,
    "reexec": _reexec,
    "stop": _stop,
}
