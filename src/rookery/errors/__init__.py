"""The error tree.

RookeryError
├── UsageError                  the call or the command line is wrong
│   ├── ConfigError             a configuration file or an option is wrong (file, line, key)
│   ├── UnknownProcess          the registry has no process of that id
│   └── NoChannel               that process takes no messages
├── SpawnError                  a process could not be started; nothing of it is left behind
│   ├── CommandNotFound         no such program (near: similar names on PATH)
│   ├── CommandNotExecutable    the program may not be executed
│   ├── DirectoryMissing        the working directory is not there
│   ├── UserUnknown             no such user or group
│   ├── ResourcesExhausted      no more processes, memory or files
│   └── NotReady                a worker did not say in time that it can begin, or ended before it did
├── ProcessFailed               a command ended otherwise than wanted (result: everything about it)
│   ├── TimedOut                it was stopped because its time was over, or because it was silent for too long
│   └── OutputLimit             it was stopped because it wrote too much
├── ProcessEnded                that process has ended already
├── ProcessNotFound             there is no process with this pid
├── ImpossibleTransition        a state table was asked for a step that it does not have
├── StopFailed                  a process outlived SIGKILL for too long
├── LinkError                   a connection between two processes of ours broke
│   ├── FrameError              a frame is malformed or too large
│   ├── StaleLease              another manager has taken over
│   ├── Disconnected            the other side of a channel went away, or the channel was closed
│   │   ├── WorkerLost          ... because the worker has ended (how, and its last words)
│   │   └── ParentGone          ... because the parent has gone; ends the worker with 0 where nobody takes it
│   ├── InputClosed             a child does not read its stdin any more
│   └── NotTrusted              the other side is not who it should be (secret, user)
├── ChannelTimeout              no message or answer came in time; the channel lives on
├── RemoteError                 the other side failed at a request (its traceback)
├── SharedMemoryError           shared memory could not be made, found or used
├── FileDamaged                 a file of state cannot be read; a copy is kept
├── LockTimeout                 a lock between processes was not free in time
├── PoolError                   a pool could not do what it was asked for
│   ├── PoolClosed              it was shut down
│   ├── PoolFull                as many tasks wait as may
│   ├── TaskTimeout             a task was ended because its time was over
│   ├── WorkerDied              the worker ended in the middle of this task (how)
│   ├── WorkerStartFailed       no worker can be started
│   ├── TaskNotSent             it cannot be pickled here, or unpickled there
│   └── ResultNotSent           the result cannot be pickled there, or unpickled here
├── ClusterError                a cluster could not do what it was asked for
│   ├── BindFailed              it cannot listen there
│   ├── WorkerNotReady          a worker did not come up
│   └── ReloadFailed            new workers did not come up; the old ones go on
└── ControlError                a request to the manager was not fulfilled
    ├── NoManager               no manager runs and none was to be started
    ├── NothingMatched          no app matched the selector
    ├── OperationFailed         the manager tried and failed
    └── WaitExpired             the wait's limit passed; the work goes on

Every error carries its facts as fields and builds its text from them. ``hint`` is what to try, or "".
Plain classes on purpose: this module is imported by the keeper and by the command line's fast path.
"""

from __future__ import annotations

import importlib

from rookery.errors.base import ConfigError, ImpossibleTransition, RookeryError, UsageError
from rookery.errors.control import ControlError, NoManager, NothingMatched, OperationFailed, WaitExpired
from rookery.errors.files import FileDamaged, LockTimeout, SharedMemoryError
from rookery.errors.link import (
    ChannelTimeout,
    Disconnected,
    FrameError,
    InputClosed,
    LinkError,
    NotTrusted,
    ParentGone,
    RemoteError,
    StaleLease,
    WorkerLost,
)
from rookery.errors.process import (
    CommandNotExecutable,
    CommandNotFound,
    DirectoryMissing,
    NoChannel,
    NotReady,
    OutputLimit,
    ProcessEnded,
    ProcessFailed,
    ProcessNotFound,
    ResourcesExhausted,
    SpawnError,
    StopFailed,
    TimedOut,
    UnknownProcess,
    UserUnknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.errors.cluster import BindFailed as BindFailed
    from rookery.errors.cluster import ClusterError as ClusterError
    from rookery.errors.cluster import ReloadFailed as ReloadFailed
    from rookery.errors.cluster import WorkerNotReady as WorkerNotReady
    from rookery.errors.pool import PoolClosed as PoolClosed
    from rookery.errors.pool import PoolError as PoolError
    from rookery.errors.pool import PoolFull as PoolFull
    from rookery.errors.pool import ResultNotSent as ResultNotSent
    from rookery.errors.pool import TaskNotSent as TaskNotSent
    from rookery.errors.pool import TaskTimeout as TaskTimeout
    from rookery.errors.pool_workers import WorkerDied as WorkerDied
    from rookery.errors.pool_workers import WorkerStartFailed as WorkerStartFailed

__all__ = [
    "BindFailed",
    "ChannelTimeout",
    "ClusterError",
    "CommandNotExecutable",
    "CommandNotFound",
    "ConfigError",
    "ControlError",
    "DirectoryMissing",
    "Disconnected",
    "FileDamaged",
    "FrameError",
    "ImpossibleTransition",
    "InputClosed",
    "LinkError",
    "LockTimeout",
    "NoChannel",
    "NoManager",
    "NotReady",
    "NotTrusted",
    "NothingMatched",
    "OperationFailed",
    "OutputLimit",
    "ParentGone",
    "PoolClosed",
    "PoolError",
    "PoolFull",
    "ProcessEnded",
    "ProcessFailed",
    "ProcessNotFound",
    "ReloadFailed",
    "RemoteError",
    "ResourcesExhausted",
    "ResultNotSent",
    "RookeryError",
    "SharedMemoryError",
    "SpawnError",
    "StaleLease",
    "StopFailed",
    "TaskNotSent",
    "TaskTimeout",
    "TimedOut",
    "UnknownProcess",
    "UsageError",
    "UserUnknown",
    "WaitExpired",
    "WorkerDied",
    "WorkerLost",
    "WorkerNotReady",
    "WorkerStartFailed",
]

# Read when first asked for: the command line and the keeper do without them, and without what they need.
_LATER = {
    "BindFailed": "cluster",
    "ClusterError": "cluster",
    "PoolClosed": "pool",
    "PoolError": "pool",
    "PoolFull": "pool",
    "ReloadFailed": "cluster",
    "ResultNotSent": "pool",
    "TaskNotSent": "pool",
    "TaskTimeout": "pool",
    "WorkerDied": "pool_workers",
    "WorkerNotReady": "cluster",
    "WorkerStartFailed": "pool_workers",
}


def __getattr__(name: str) -> object:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.errors' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rookery.errors.{module}"), name)
