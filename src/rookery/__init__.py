"""Process management for Python, from one child to a fleet.

Public names are imported when they are first used, so that ``import rookery`` costs next to nothing.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.errors import RookeryError as RookeryError
    from rookery.lifecycle.restart import Backoff as Backoff
    from rookery.lifecycle.restart import MaxRestarts as MaxRestarts
    from rookery.lifecycle.restart import RestartPolicy as RestartPolicy
    from rookery.lifecycle.state import State as State
    from rookery.lifecycle.stop import StopPlan as StopPlan
    from rookery.process.spec import SpawnSpec as SpawnSpec
    from rookery.supervise.supervisor import Supervisor as Supervisor
    from rookery.supervise.unit import Unit as Unit

__version__ = "0.1.0.dev0"

_PUBLIC = {
    "Backoff": "rookery.lifecycle.restart",
    "MaxRestarts": "rookery.lifecycle.restart",
    "RestartPolicy": "rookery.lifecycle.restart",
    "RookeryError": "rookery.errors",
    "SpawnSpec": "rookery.process.spec",
    "State": "rookery.lifecycle.state",
    "StopPlan": "rookery.lifecycle.stop",
    "Supervisor": "rookery.supervise.supervisor",
    "Unit": "rookery.supervise.unit",
}

__all__ = [
    "Backoff",
    "MaxRestarts",
    "RestartPolicy",
    "RookeryError",
    "SpawnSpec",
    "State",
    "StopPlan",
    "Supervisor",
    "Unit",
    "__version__",
]


def __getattr__(name: str) -> object:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
