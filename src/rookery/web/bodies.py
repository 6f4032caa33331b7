"""What comes with a request: its body and its query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rookery import errors
from rookery._base.nearest import nearest
from rookery.control.messages import EVENT_TYPES, UNTIL, EventQuery, Until

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")
MOST_BODY = 1024 * 1024
MOST_WAIT = 60.0
"""Seconds; who waits longer asks again, so that nobody's question outlives him for long."""
_PLACE = re.compile(r"(?:(\d{1,15})\.)?(\d{1,15})", re.ASCII)


async def body_of(request: Request, kind: type[T]) -> T:
    """The request's body as a message. Raises UsageError; HTTPException where it is too large or does not end."""
    data = bytearray()
    if int(request.headers.get("content-length", "0")) > MOST_BODY:  # h11 has looked at it: digits, 20 at most
        raise HTTPException(413, f"a body may have {MOST_BODY} bytes")
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_BODY:
                raise HTTPException(413, f"a body may have {MOST_BODY} bytes")
    except ClientDisconnect:
        raise HTTPException(408, "the request's body did not come whole") from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise errors.UsageError("the request's body is not well-formed", why=str(error)) from None


def selectors_of(request: Request) -> list[str]:
    """All ``select=`` of the query."""
    return request.query_params.getlist("select")


def flag_of(request: Request, name: str) -> bool:
    """Whether a flag of the query is set. Raises UsageError for what is neither yes nor no."""
    text = request.query_params.get(name, "0")
    if text not in ("0", "1", "false", "true"):
        raise errors.UsageError(f"{name}={text!r} is neither yes nor no", hint=f"{name}=1 or {name}=0")
    return text in ("1", "true")


def until_of(request: Request) -> tuple[Until, float]:
    """What to wait for, and for how many seconds. Raises UsageError."""
    text = request.query_params.get("for", "settled")
    if text not in UNTIL:
        raise errors.UsageError(f"nothing can be waited for as {text!r}", hint=", ".join(UNTIL))
    until: Until = text
    limit = request.query_params.get("timeout", "30")
    try:
        seconds = float(limit)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_WAIT:
        raise errors.UsageError(f"timeout={limit!r} is no time to wait", hint=f"0 to {MOST_WAIT:g} seconds")
    return until, seconds


def events_of(request: Request, epoch: int) -> EventQuery:
    """Which events are asked for; epoch: the present one, for a place without. Raises UsageError."""
    since = request.query_params.get("since")
    after = None if since is None else _place(since, epoch)
    if last := request.headers.get("last-event-id"):  # who comes back knows better than his own address
        after = _place(last, epoch)
    types = tuple(request.query_params.getlist("type"))
    for text in types:
        if text not in EVENT_TYPES:
            near = nearest(text, EVENT_TYPES)
            hint = f"did you mean {near[0]}?" if near else ", ".join(EVENT_TYPES)
            raise errors.UsageError(f"no event is of the type {text!r}", hint=hint)
    return EventQuery(selectors=tuple(selectors_of(request)), types=types, after=after)


def _place(text: str, epoch: int) -> tuple[int, int]:
    match = _PLACE.fullmatch(text)
    if match is None:
        raise errors.UsageError(f"{text!r} is no place among events", hint="such as 3.17: epoch and number")
    return (int(match[1]) if match[1] else epoch, int(match[2]))
