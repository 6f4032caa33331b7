"""Signals to instances, on request."""

from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING

from rookery import errors
from rookery._base.nearest import nearest
from rookery._base.signals import signal_name
from rookery.control.messages import Signalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.apps.app import Instance
    from rookery.apps.events import Events


def signal_number(text: str | int) -> int:
    """15 for ``TERM``, ``SIGTERM``, ``sigterm``, ``15``. Raises UsageError for what is no signal here, and for 0."""
    word = str(text).strip().upper()
    if word.isascii() and word.isdecimal():
        number = int(word[:9])
        if number in signals.valid_signals():
            return number
        raise errors.UsageError(f"there is no signal {text}", hint="such as 15, TERM or SIGTERM")
    name = word if word.startswith("SIG") else f"SIG{word}"
    known = signals.Signals.__members__
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near[0]}?" if near else "such as HUP, USR1, TERM or 15"
        raise errors.UsageError(f"there is no signal {text!r}", hint=hint)
    return known[name].value


def send_signal(events: Events, chosen: Sequence[Instance], number: int, *, tree: bool) -> list[Signalled]:
    """Signal all of them, each its leader or its whole tree.

    Raises OperationFailed for the first that does not run (then none was signalled), or that may not be signalled.
    """
    trees = []
    for one in chosen:
        found, pid = one.unit.tree, one.unit.pid
        if found is None or pid is None:
            raise _down(one)
        trees.append((one, found, pid))
    sent = []
    for one, found, pid in trees:
        leader = (pid, one.unit.start_time or 0)
        members = found.members() if tree else [leader]
        try:
            hit = sum(found.signal(member, number) for member in members)
        except OSError as error:
            why = error.strerror or str(error)
            what = f"{one.app.spec.name}:{one.index} could not be signalled"
            raise errors.OperationFailed(
                what, why=why, hint="a program may run as another user than the manager"
            ) from None
        if not hit:
            raise _down(one)
        name = signal_name(number)
        events.add("signal", one, signal=name, pid=pid, reason=f"sent to {hit} on request")
        sent.append(Signalled(id=one.id, name=one.app.spec.name, index=one.index, pid=pid, signal=name, processes=hit))
    return sent


def _down(one: Instance) -> errors.OperationFailed:
    return errors.OperationFailed(
        f"{one.app.spec.name}:{one.index} does not run", why=f"it is {one.unit.state}", hint="see: rook list"
    )
