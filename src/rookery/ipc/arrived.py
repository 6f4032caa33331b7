"""What a receiver gets: messages with descriptors, and the reason why there are no more."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rookery.errors import LinkError


class WithFds(NamedTuple):
    """A message and the descriptors that came with it, which are the receiver's to close.

    A handler may answer with one: the descriptors go with the answer and are closed here when it has left.
    """

    message: Any
    fds: list[int]


class Arrived(NamedTuple):
    """The same while it waits in a queue."""

    message: Any
    fds: list[int]


def again(error: LinkError) -> LinkError:
    """The same error anew, with all its fields, for each who meets it."""
    return copy.copy(error)
