"""Which handler a message goes to."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

ANY = "*"
_MOST_TEXT = 10_000
_MOST_TRACEBACK = 50_000


class Handler(NamedTuple):
    """with_call: whether it is given the call as well as the message."""

    function: Callable[..., Any]
    with_call: bool


class Handlers:
    """By the value of a message's "type", by its Python type, or for ANY other."""

    def __init__(self) -> None:
        self._by_kind: dict[object, Handler] = {}

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def set(self, kind: str | type, function: Callable[..., Any], *, with_call: bool) -> None:
        """Replaces what was there."""
        self._by_kind[kind] = Handler(function, with_call)

    def remove(self, kind: str | type) -> None:
        """Nothing happens where there is none."""
        self._by_kind.pop(kind, None)

    def find(self, message: Any) -> Handler | None:
        """The handler for a message, or None."""
        kind: object = type(message)
        if kind is dict:
            named = message.get("type")
            if type(named) is str:
                kind = named
        return self._by_kind.get(kind) or self._by_kind.get(ANY)


def told(error: BaseException) -> dict[str, str]:
    """What travels of an error; one that came from afar goes on as it was."""
    if isinstance(error, RemoteError):
        return {"type": error.kind, "message": error.text, "traceback": error.traceback}
    text = "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": str(error)[:_MOST_TEXT], "traceback": text[-_MOST_TRACEBACK:]}


def briefly(error: BaseException) -> dict[str, str]:
    """What travels where an answer could not be sent: so little that it fits."""
    return {"type": type(error).__name__, "message": str(error)[:_MOST_TEXT], "traceback": ""}


def nobody(message: Any) -> dict[str, str]:
    """What travels where no handler takes a request."""
    kind = message.get("type") if type(message) is dict else None
    what = repr(kind) if kind is not None else f"a message of type {type(message).__name__}"
    return {"type": "NoHandler", "message": f"nobody handles {what:.200}", "traceback": ""}


def remote_error(body: Any) -> RemoteError:
    """The error that travelled, whatever stands in it."""
    facts = body if isinstance(body, dict) else {"message": body}
    return RemoteError(
        str(facts.get("type", "Error")), str(facts.get("message", "")), traceback=str(facts.get("traceback", ""))
    )
