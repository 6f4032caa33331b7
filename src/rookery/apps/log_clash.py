"""Two apps never write to one log file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery import errors
from rookery.logs.names import Naming, first_clash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rookery.config.spec import AppSpec


def check_log_files(new: Iterable[AppSpec], present: Iterable[AppSpec]) -> None:
    """Raise ConfigError where one of the new apps would write to a log file of another app.

    present: the apps that there are; those that the new ones replace do not count.
    """
    clash = first_clash([_naming(spec) for spec in new], [_naming(spec) for spec in present])
    if clash is not None:
        one, other, file = clash
        raise errors.ConfigError(
            f"the apps {one.name!r} and {other.name!r} would write to the same log file, {file}",
            hint=f"give one of them another name or another logs.merge ({one.name}: {one.merge}, "
            f"{other.name}: {other.merge})",
        )


def _naming(spec: AppSpec) -> Naming:
    return Naming(spec.name, spec.logs.merge, spec.instances, spec.logs.combined)
