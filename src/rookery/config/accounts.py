"""Whether the users and groups of an app are there."""

from __future__ import annotations

import grp
import pwd
from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery.config.lookup import did_you_mean
from rookery.config.report import BadValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def unknown_accounts(settings: Mapping[str, object]) -> Iterator[BadValue]:
    """What is wrong with ``user`` and ``group``: an unknown name, or a number that is nobody's user.

    A group's number may be any: it needs no entry.
    """
    user, group = settings.get("user"), settings.get("group")
    if isinstance(user, str):
        try:
            _ = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        except (KeyError, OverflowError):
            near = nearest(user, [entry.pw_name for entry in pwd.getpwall()])
            yield BadValue(f"there is no user {user!r}", hint=did_you_mean(near, "see: getent passwd"), path=("user",))
    if isinstance(group, str) and not group.isdecimal():
        try:
            grp.getgrnam(group)
        except KeyError:
            near = nearest(group, [entry.gr_name for entry in grp.getgrall()])
            hint = did_you_mean(near, "see: getent group")
            yield BadValue(f"there is no group {group!r}", hint=hint, path=("group",))
