"""The caller's side of server-sent events, with nothing but a socket; goes on where it was when managers change."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, NamedTuple

from rookery.control.client import no_manager, value_of
from rookery.errors import OperationFailed

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from rookery.control.client import Client

_PATIENCE = 5.0
"""Seconds that a manager may be away, once it has been there."""
_SILENCE = 45.0
"""Seconds without even a heartbeat: that is no living manager."""
_PAUSE = 0.02
_CONNECT_WITHIN = 5.0


class _ReaderGoneError(Exception):
    """Nobody reads what is told. No OSError: those are cuts of the connection."""


class Told(NamedTuple):
    """One event of a stream. id: where to go on after it; event: its type; data: its text."""

    id: str
    event: str
    data: str


def follow(client: Client, path: str, *, after: str = "", reader: int | None = None) -> Iterator[Told]:
    """Each event of a stream, for ever. after: the id of the last one that is known; reader: the pipe for what is told.

    Raises NoManager where there is none, or none comes back within 5 s; NothingMatched, UsageError or OperationFailed
    as the manager's problem says; BrokenPipeError as soon as nobody reads from ``reader`` any more.
    """
    away_since: float | None = None
    has_met = False
    while True:
        try:
            for told in _stream(client, path, after, reader):
                has_met, away_since = True, None
                if told is not None:
                    after = told.id or after
                    yield told
        except _ReaderGoneError:
            raise BrokenPipeError from None
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if not has_met:
                raise no_manager(client.home) from error
        except OSError:  # cut, silent, or the queue is full
            pass
        now = time.monotonic()
        away_since = away_since or now
        if now - away_since > _PATIENCE:
            raise no_manager(client.home)
        time.sleep(_PAUSE)


def _stream(client: Client, path: str, after: str, reader: int | None) -> Iterator[Told | None]:
    """One connection: None once it is taken, then each event, until it ends or is cut (OSError)."""
    with client.connect(time.monotonic() + _CONNECT_WITHIN) as connection:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", "Accept: text/event-stream"]
        lines += [f"Last-Event-ID: {after}"] if after else []
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        connection.settimeout(_SILENCE)
        status, rest = _header(connection)
        if status != 200:
            while piece := connection.recv(65536):
                rest += piece
            value_of(status, rest)
            raise OperationFailed(f"the manager answered with status {status}")
        yield None
        text = b""
        for chunk in _chunks(connection, rest, reader):
            *events, text = (text + chunk).split(b"\n\n")
            for event in events:
                if (told := _parse(event.decode("utf-8", "replace"))) is not None:
                    yield told


def _header(connection: socket.socket) -> tuple[int, bytes]:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError
        raw += piece
    head, _, rest = raw.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest


def _chunks(connection: socket.socket, raw: bytes, reader: int | None) -> Iterator[bytes]:
    """The pieces of a chunked body; ends with it."""
    while True:
        size, found, rest = raw.partition(b"\r\n")
        if found and len(rest) >= (length := int(size.split(b";")[0], 16)) + 2:
            if length == 0:
                return
            yield rest[:length]
            raw = rest[length + 2 :]
            continue
        _wait_for_more(connection, reader)
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError
        raw += piece


def _wait_for_more(connection: socket.socket, reader: int | None) -> None:
    """Return when there is something to receive, or after 45 s. Raises _ReaderGoneError."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    if reader is not None:
        waiting.register(reader, 0)  # errors are always reported
    if any(fd == reader for fd, _ in waiting.poll(_SILENCE * 1000)):
        raise _ReaderGoneError


def _parse(event: str) -> Told | None:
    """An event of a stream; None for a comment."""
    fields: dict[str, list[str]] = {}
    for line in event.split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    return Told(fields.get("id", [""])[-1], fields.get("event", [""])[-1], "\n".join(fields["data"]))
