"""Which task this thread is at."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.pool.threads.member import Member


class _Here(threading.local):
    member: Member | None = None


here = _Here()
"""here.member: the worker that this thread is, None in all others."""


def report(value: Any) -> bool:
    """Tell the submitter of this thread's task how far it is; False where this thread is no worker's."""
    member = here.member
    if member is None:
        return False
    member.report(value)
    return True
