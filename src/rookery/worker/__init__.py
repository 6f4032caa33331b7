"""Children with a channel. The parent's side: fork(). The child's side: channel() (asyncio) and connect() (blocking).

Names are imported when they are first used: a worker that blocks need not load asyncio.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.worker.forking import Fork as Fork
    from rookery.worker.forking import fork as fork
    from rookery.worker.here import WorkerChannel as WorkerChannel
    from rookery.worker.here import channel as channel
    from rookery.worker.here_sync import SyncWorkerChannel as SyncWorkerChannel
    from rookery.worker.here_sync import connect as connect
    from rookery.worker.running import Worker as Worker

_PUBLIC = {
    "Fork": "rookery.worker.forking",
    "SyncWorkerChannel": "rookery.worker.here_sync",
    "Worker": "rookery.worker.running",
    "WorkerChannel": "rookery.worker.here",
    "channel": "rookery.worker.here",
    "connect": "rookery.worker.here_sync",
    "fork": "rookery.worker.forking",
}

__all__ = ["Fork", "SyncWorkerChannel", "Worker", "WorkerChannel", "channel", "connect", "fork"]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.worker' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
