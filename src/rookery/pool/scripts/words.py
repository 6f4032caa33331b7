"""What a pool and its script workers say to each other: plain values, so that a script may be in any language.

worker -> {"type": "ready"}
pool   -> {"type": "task", "id": 7, "name": "resize", "data": ...}
worker -> {"type": "progress", "id": 7, "value": ...}    as often as it likes
worker -> {"type": "result", "id": 7, "result": ...}     or {"type": "error", "id": 7, "error": {...}}
pool   -> {"type": "status", "id": 3}, and the worker -> {"type": "status", "id": 3, ...}
pool   -> {"type": "stop"}                               then it closes the channel
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, Protocol

from rookery.errors import RemoteError

READY: Final = "ready"
TASK: Final = "task"
PROGRESS: Final = "progress"
RESULT: Final = "result"
ERROR: Final = "error"
STATUS: Final = "status"
STOP: Final = "stop"

_MOST_TEXT = 64 * 1024


class Said(NamedTuple):
    """A message of a worker: of the task, or the question, with that number. kind "": it means nothing."""

    kind: Literal["", "ready", "progress", "result", "error", "status"]
    number: int = 0
    value: Any = None


NOTHING: Final = Said("")


class Words(Protocol):
    """A protocol. is_plain: tasks have no names, and nobody says that he is ready in it."""

    is_plain: bool

    def task(self, number: int, name: str, data: Any) -> Any:
        """The message that gives a task."""
        ...

    def understood(self, message: Any, at_work: int) -> Said:
        """What a worker has said; at_work: the number of its task, 0 without. Raises nothing."""
        ...


class RookeryWords:
    """Messages with a type, and with the number of the task that they belong to."""

    is_plain = False

    def task(self, number: int, name: str, data: Any) -> Any:
        """See Words."""
        return {"type": TASK, "id": number, "name": name, "data": data}

    def understood(self, message: Any, at_work: int) -> Said:  # noqa: ARG002 - it is said by the message
        """See Words."""
        if not isinstance(message, dict):
            return NOTHING
        kind, number = message.get("type"), message.get("id")
        if kind == READY:
            return Said("ready")
        if type(number) is float and number.is_integer():  # of a language that has no other numbers
            number = int(number)
        if type(number) is not int:
            return NOTHING
        if kind == RESULT:
            return Said("result", number, message.get("result"))
        if kind == ERROR:
            return Said("error", number, error_of(message.get("error")))
        if kind == PROGRESS:
            return Said("progress", number, message.get("value"))
        if kind == STATUS:
            return Said("status", number, {key: value for key, value in message.items() if key not in ("type", "id")})
        return NOTHING


class PlainWords:
    """The message is the data, and the next one that comes back is the result."""

    is_plain = True

    def task(self, number: int, name: str, data: Any) -> Any:  # noqa: ARG002 - there is nowhere to put them
        """See Words."""
        return data

    def understood(self, message: Any, at_work: int) -> Said:
        """See Words."""
        return Said("result", at_work, message) if at_work else NOTHING


def error_of(value: Any) -> RemoteError:
    """The error that a script tells of: an object with name, message and stack, each of them if it likes, or a text."""
    if not isinstance(value, dict):
        return RemoteError("Error", "" if value is None else _text(value))
    name, text, stack = (_text(value.get(key) or "") for key in ("name", "message", "stack"))
    return RemoteError(name or "Error", text, traceback=stack)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
