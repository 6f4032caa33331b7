"""What a pool of script workers was asked to be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from rookery.errors import UsageError
from rookery.pool.processes.settings import PoolSettings
from rookery.worker.targets import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Protocol = Literal["rookery", "plain"]


class ScriptOptions(TypedDict, total=False):
    """What a pool with a script may be told besides."""

    script_args: Sequence[object]
    protocol: Protocol
    interpreter: str | os.PathLike[str] | None
    interpreter_args: Sequence[object]


@dataclass(slots=True)
class ScriptSettings(PoolSettings):
    """See ProcessPool; checked here. codec: how its messages are written."""

    script: str | os.PathLike[str] = ""
    script_args: Sequence[object] = ()
    protocol: Protocol = "rookery"
    interpreter: str | os.PathLike[str] | None = None
    interpreter_args: Sequence[object] = ()
    codec: str = ""

    def __post_init__(self) -> None:
        PoolSettings.__post_init__(self)
        if self.protocol not in ("rookery", "plain"):
            raise UsageError(f"protocol is 'rookery' or 'plain', not {self.protocol!r}")
        for name in ("initializer", "initargs", "preload"):
            if getattr(self, name):
                raise UsageError(f"{name} is for functions, and this pool runs a script", hint="let the script do it")
        # Said here, not by the first worker that cannot be started.
        found = target_of(self.script, interpreter=self.interpreter)
        if found.kind == "function":
            raise UsageError(
                f"a script is a file, not {found.name!r}", hint="leave script out, and submit the function"
            )
        self.script = os.path.abspath(self.script)  # the program may go to another folder meanwhile
        # Other languages know JSON, one value per line, better than anything else.
        self.codec = {"node": "node", "python": "msgpack"}.get(found.kind, "json-lines")
