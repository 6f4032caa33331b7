"""Users and groups by name or number, as a spawn wants them."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

from rookery._base.nearest import nearest
from rookery.errors import UserUnknown

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_MOST = 2**32 - 2
"""The number above it is the system's word for nobody in particular."""


def account(
    user: str | int | None, group: str | int | None, groups: Collection[str | int] | None, argv: Sequence[str]
) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """(uid, gid, supplementary groups); None where nothing is to change.

    A user brings its own group and groups, unless others are given: nobody keeps the groups of who started it.
    Raises UserUnknown.
    """
    uid = gid = None
    rest = None if groups is None else tuple(_gid(one, argv) for one in groups)
    if user is not None:
        entry = _entry(user, argv)
        if isinstance(entry, int):  # a number that nobody has
            uid, rest = entry, () if rest is None else rest
        else:
            uid, gid = entry.pw_uid, entry.pw_gid
            if rest is None:
                own = gid if group is None else _gid(group, argv)
                rest = tuple(os.getgrouplist(entry.pw_name, own))
    if group is not None:
        gid = _gid(group, argv)
    return uid, gid, rest


def _entry(user: str | int, argv: Sequence[str]) -> pwd.struct_passwd | int:
    if isinstance(user, int) and not 0 <= user <= _MOST:  # -1 would mean "stay who you are"
        raise UserUnknown(f"there can be no user {user}", argv=argv, hint="a number from 0 on, or a name")
    try:
        return pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
    except KeyError:
        if isinstance(user, int):
            return user
        if user.isdecimal():
            return _entry(int(user), argv)
        near = nearest(user, [entry.pw_name for entry in pwd.getpwall()], most=1)
        hint = f"did you mean {near[0]}?" if near else "see: getent passwd"
        raise UserUnknown(f"there is no user {user!r}", argv=argv, hint=hint) from None


def _gid(group: str | int, argv: Sequence[str]) -> int:
    if isinstance(group, int):
        if not 0 <= group <= _MOST:
            raise UserUnknown(f"there can be no group {group}", argv=argv, hint="a number from 0 on, or a name")
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return _gid(int(group), argv)
        near = nearest(group, [entry.gr_name for entry in grp.getgrall()], most=1)
        hint = f"did you mean {near[0]}?" if near else "see: getent group"
        raise UserUnknown(f"there is no group {group!r}", argv=argv, hint=hint) from None
