"""What happens to a child, as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rookery.lifecycle.exit import ExitStatus
    from rookery.process.child import Child
    from rookery.process.result import Result


@dataclass(frozen=True, slots=True)
class ChildEvent:
    """One of: started; output (stream and data; where a pipe of ours is read); exited (status: how it ended; its
    output may go on); closed (result: its output has ended too, and nothing of its tree is left).
    """

    kind: Literal["started", "output", "exited", "closed"]
    child: Child[Any]
    stream: Literal["stdout", "stderr"] | None = None
    data: bytes = b""
    status: ExitStatus | None = None
    result: Result[Any] | None = None
