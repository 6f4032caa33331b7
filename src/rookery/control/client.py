"""The caller's side of the control API: HTTP/1.1 over a Unix socket, with nothing but socket and json.

This is on the command line's hot path: http.client alone would cost more than the whole request.

The listening socket outlives the manager, so during a change of managers a connection waits in its queue, or is cut
when the old one had taken it. A request is sent again only where that cannot do anything twice.
"""

from __future__ import annotations

import errno
import json
import socket
import time

from rookery.control import places
from rookery.errors import LinkError, NoManager, NothingMatched, OperationFailed, UsageError, WaitExpired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rookery.errors import RookeryError

_PATIENCE = 5.0
"""Seconds for which a request that was cut, or found no room in the queue, is tried again."""
_PAUSE = 0.01
_BY_EXIT_CODE: dict[object, type[RookeryError]] = {
    1: OperationFailed,
    2: UsageError,
    3: NothingMatched,
    4: NoManager,
    5: WaitExpired,
}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class _CutError(LinkError):
    """The connection ended before the whole answer. sent: whether the manager may have got the request."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection to the manager was cut")
        self.sent = sent


def with_selectors(path: str, selectors: Sequence[str]) -> str:
    """The path with one ``select=`` per selector, percent-encoded."""
    return with_query(path, [("select", selector) for selector in selectors])


def with_query(path: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The path with a query, percent-encoded."""
    return f"{path}?" + "&".join(f"{name}={_encoded(value)}" for name, value in pairs) if pairs else path


def _encoded(text: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in raw)


class Client:
    """Talks to the manager of one home; one connection per request. Safe for several threads."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.warning = ""
        """What the manager wants everybody to know (its disk is full), as of the last answer."""
        self._path = places.control_socket(home)

    def is_listening(self) -> bool:
        """Whether a connection is taken: a manager is there, or about to be. Raises OperationFailed (no access)."""
        try:
            self.connect(time.monotonic() + _PATIENCE).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:  # the queue is full of other callers
            return True
        except OSError as error:
            raise self._unreachable(error) from error
        return True

    def request(self, method: str, path: str, body: object = None, *, timeout: float = 10.0) -> tuple[int, Any]:
        """The status and the JSON of the answer (None where it has no body). timeout: seconds for all of it.

        Raises NoManager where nothing listens; UsageError, NothingMatched, WaitExpired or OperationFailed as the
        manager's problem says; OperationFailed where it does not answer in time or goes away while it works.
        """
        message = _message(method, path, body)
        deadline = time.monotonic() + timeout
        give_up: float | None = None
        while True:
            try:
                status, payload, self.warning = self._exchange(message, deadline)
                return value_of(status, payload)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                # Not waited for, unless this very request has already seen a manager.
                if give_up is None or time.monotonic() > give_up:
                    raise no_manager(self.home) from error
            except _CutError as cut:
                if cut.sent and method != "GET":
                    raise OperationFailed(
                        "the manager went away while it worked",
                        why="it may have done all, some or nothing of it",
                        hint="look with: rook list",
                    ) from cut
                give_up = self._go_on(give_up, cut)
            except BlockingIOError as error:  # the queue of the listener is full
                give_up = self._go_on(give_up, error)
            except TimeoutError as error:
                raise self._failed(f"the manager did not answer within {timeout:g} s", "") from error
            except OSError as error:
                raise self._unreachable(error) from error
            time.sleep(_PAUSE)

    def _go_on(self, give_up: float | None, cause: Exception) -> float:
        now = time.monotonic()
        if give_up is not None and now > give_up:
            raise self._failed(f"the manager did not come back within {_PATIENCE:g} s", str(cause)) from cause
        return now + _PATIENCE if give_up is None else give_up

    def _unreachable(self, error: OSError) -> OperationFailed:
        if isinstance(error, NotADirectoryError):
            return OperationFailed(
                f"the home {self.home} is no folder", hint="choose another one with: rook --home DIR"
            )
        return self._failed("could not talk to the manager", error.strerror or str(error))

    def _failed(self, what: str, why: str) -> OperationFailed:
        return OperationFailed(what, why=why, hint=f"look into {places.manager_log(self.home)}")

    def connect(self, deadline: float) -> socket.socket:
        """A connection to the manager; deadline: monotonic seconds, also for what is done with it. Raises OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            with places.connectable(self._path) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(self, message: bytes, deadline: float) -> tuple[int, bytes, str]:
        with self.connect(deadline) as connection:
            _send(connection, message, deadline)
            raw = bytearray()
            while True:
                connection.settimeout(_left(deadline))
                try:
                    piece = connection.recv(65536)
                except ConnectionError as error:
                    raise _CutError(sent=True) from error
                raw += piece
                try:
                    answer = _parse(raw, ended=not piece)
                except (ValueError, IndexError) as error:
                    raise OSError(errno.EPROTO, f"no HTTP answer: {bytes(raw[:40])!r}") from error
                if answer is not None:
                    return answer
                if not piece:
                    raise _CutError(sent=True)


def no_manager(home: str) -> NoManager:
    """The error for a home where nothing listens."""
    return NoManager(f"no manager runs for {home}", hint="it starts with the first app: rook start app.py")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _message(method: str, path: str, body: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", "Accept: application/json"]
    payload = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        lines.append("Content-Type: application/json")
    if method != "GET":
        lines.append(f"Content-Length: {len(payload)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + payload


def _send(connection: socket.socket, message: bytes, deadline: float) -> None:
    rest = memoryview(message)
    while rest:
        connection.settimeout(_left(deadline))
        try:
            rest = rest[connection.send(rest) :]
        except ConnectionError as error:
            raise _CutError(sent=len(rest) < len(message)) from error


def _parse(raw: bytearray, *, ended: bool) -> tuple[int, bytes, str] | None:
    """Status, body and the manager's warning, or None while something is missing.

    Raises ValueError or IndexError for what is no HTTP.
    """
    end = raw.find(b"\r\n\r\n")
    if end < 0:
        if len(raw) >= 5 and not raw.startswith(b"HTTP/"):
            raise ValueError(raw[:5])
        return None
    first, *rest = raw[:end].decode("latin-1").split("\r\n")
    status = int(first.split(" ", 2)[1])
    fields = {}
    for line in rest:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    start = end + 4
    warning = fields.get("rookery-warning", "")
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _unchunked(raw, start)
        return None if body is None else (status, body, warning)
    length = fields.get("content-length")
    if length is None:
        return (status, bytes(raw[start:]), warning) if ended else None
    stop = start + int(length)
    return (status, bytes(raw[start:stop]), warning) if len(raw) >= stop else None


def _unchunked(raw: bytearray, at: int) -> bytes | None:
    if not raw.endswith(b"\r\n\r\n"):  # cheap: do not walk all chunks again for each piece that arrives
        return None
    body = bytearray()
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(raw[at:end].split(b";")[0], 16)
        if size == 0:
            return bytes(body)
        at = end + 2 + size + 2
        if len(raw) < at:
            return None
        body += raw[end + 2 : at - 2]


def value_of(status: int, payload: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer. Raises what its problem says."""
    try:
        value = json.loads(payload) if payload else None
    except ValueError as error:
        if status < 400:
            raise OperationFailed("the manager's answer is no JSON", why=str(error)) from error
        value = {"detail": payload.decode("utf-8", "replace").strip()}
    if status < 400:
        return status, value
    problem = value if isinstance(value, dict) else {}
    kind = _BY_EXIT_CODE.get(problem.get("exit_code"), OperationFailed)
    raise kind(
        str(problem.get("title") or f"the manager answered with status {status}"),
        why=str(problem.get("detail") or ""),
        hint=str(problem.get("hint") or ""),
    )
