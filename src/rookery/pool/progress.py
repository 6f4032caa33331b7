"""How a task tells how far it is."""

from __future__ import annotations

from typing import Any

from rookery.pool.processes import here
from rookery.pool.threads.here import report


def report_progress(value: Any) -> None:
    """Tell who submitted the task at work how far it is.

    value: in a process pool anything that can be pickled; it is handed to the ``on_progress`` of the task's options, in
    order, and is an event of the pool. Outside of a task nothing happens. Call it from the task's own thread.
    """
    if here.desk is not None:
        here.desk.report(value)
    elif here.serving is not None:
        here.serving.report(value)
    else:
        report(value)
