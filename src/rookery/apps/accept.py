"""What the API takes as an app: the same rules as for files, for whoever talks to the socket directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery.apps.log_clash import check_log_files
from rookery.apps.scaling import MOST_INSTANCES
from rookery.apps.translate import spawn_spec, stop_plan
from rookery.config.contradictions import check_cluster, check_logs
from rookery.config.locate import dotted
from rookery.config.names import check_name
from rookery.config.report import BadValue
from rookery.config.spec import AppSpec

if TYPE_CHECKING:
    from collections.abc import Iterable


def accept(raws: list[msgspec.Raw], present: Iterable[AppSpec] = ()) -> list[AppSpec]:
    """The specs of a request. Raises ConfigError for one that cannot be, also beside the apps that there are."""
    specs = [_decode(raw) for raw in raws]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise errors.ConfigError(f"the app {name!r} is described twice")
    check_log_files(specs, present)
    return specs


def check_size(spec: AppSpec) -> None:
    """Raises ConfigError where it cannot have so many instances, such as for want of ports."""
    try:
        check_cluster(spec)
    except BadValue as bad:
        raise errors.ConfigError(bad.problem, key=dotted(bad.path), hint=bad.hint) from None


def _decode(raw: msgspec.Raw) -> AppSpec:
    try:
        spec = msgspec.json.decode(raw, type=AppSpec)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"an app is not described well: {error}") from None
    try:
        check_name(spec.name)
        check_name(spec.namespace)
        check_logs(spec.logs)
        check_cluster(spec)
    except BadValue as bad:
        raise errors.ConfigError(bad.problem, key=dotted(bad.path), hint=bad.hint) from None
    if spec.logs.via == "stdout":
        raise errors.ConfigError(
            f'the app {spec.name!r} has logs.via = "stdout", and a manager has none to show it on',
            hint='for rook up leave it; here write "pipe" or "direct"',
        )
    if not spec.command or not spec.command[0]:
        raise errors.ConfigError(f"the app {spec.name!r} has no command")
    if not spec.cwd.startswith("/"):
        raise errors.ConfigError(f"the folder of the app {spec.name!r} is not absolute: {spec.cwd!r}")
    if not 1 <= spec.instances <= MOST_INSTANCES:
        what = f"the app {spec.name!r} cannot have {spec.instances} instances"
        raise errors.ConfigError(what, hint=f"1 to {MOST_INSTANCES}")
    try:
        stop_plan(spec)
    except KeyError:
        raise errors.ConfigError(f"the app {spec.name!r} has an unknown stop_signal {spec.stop_signal!r}") from None
    try:
        spawn_spec(spec, {}, 0)  # here, where a copy that runs has not been stopped yet
    except errors.UserUnknown as error:
        raise errors.ConfigError(f"the app {spec.name!r}: {error.why}", hint=error.hint) from None
    return spec
