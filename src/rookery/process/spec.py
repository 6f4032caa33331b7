"""SpawnSpec: everything about a process to be started, as plain JSON-able values.

It travels from the manager to the keeper, so it has a version and imports nothing heavy.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NamedTuple

    class SpawnSpec(NamedTuple):
        """A process to be started.

        argv: program and arguments; env: the whole environment, or None for the parent's; cwd: a folder or None for
        the parent's; uid, gid, groups: numbers, or None to stay who we are; umask: or None; rlimits: {"nofile": 1024,
        "as": bytes, "cpu": seconds, "core": bytes, "nproc": count}; session: a session of its own; fds: {child's
        number: key of the descriptor store, or a descriptor of ours}; numbers 0 to 2 that are missing become
        /dev/null. nice: the priority, -20 to 19; affinity: numbers of the CPUs it may use; pty: the path of a terminal
        that becomes its own and its numbers 0 to 2.
        """

        argv: tuple[str, ...]
        env: Mapping[str, str] | None = None
        cwd: str | None = None
        uid: int | None = None
        gid: int | None = None
        groups: tuple[int, ...] | None = None
        umask: int | None = None
        rlimits: Mapping[str, int] = {}  # never written to
        session: bool = True
        fds: Mapping[int, int | str] = {}  # never written to
        nice: int | None = None
        affinity: tuple[int, ...] | None = None
        pty: str | None = None
else:
    SpawnSpec = namedtuple(  # noqa: PYI024 - typing costs the keeper 5 ms of start-up
        "SpawnSpec",
        "argv env cwd uid gid groups umask rlimits session fds nice affinity pty",
        defaults=(None, None, None, None, None, None, {}, True, {}, None, None, None),
    )

VERSION = 1


def to_json(spec: SpawnSpec) -> dict[str, object]:
    """The spec as a JSON object; descriptors in fds must be keys."""
    plain = dict(spec._asdict())
    plain["fds"] = {str(number): key for number, key in spec.fds.items()}
    plain["version"] = VERSION
    return plain


def from_json(plain: dict[str, object]) -> SpawnSpec:
    """A spec from its JSON object; fields of later versions are left out. Raises KeyError, TypeError, ValueError."""
    known = {name: plain[name] for name in SpawnSpec._fields if name in plain}
    known["argv"] = tuple(known["argv"])  # type: ignore[arg-type]
    for name in ("groups", "affinity"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])  # type: ignore[arg-type]
    known["fds"] = {int(number): key for number, key in known.get("fds", {}).items()}  # type: ignore[attr-defined]
    return SpawnSpec(**known)  # type: ignore[arg-type]
