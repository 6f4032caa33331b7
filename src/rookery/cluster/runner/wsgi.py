"""A WSGI app as an ASGI app: one thread for each request, and one way there and back where the answer is short.

The request's body is taken in before the app is called (in a file, where it is large). An answer that is complete with
its first piece goes out at once; a longer one piece by piece, each asked of the app when the one before has been sent.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    Message = dict[str, Any]
    Send = Callable[[Message], Awaitable[None]]
    Receive = Callable[[], Awaitable[Any]]

_IN_MEMORY = 1 << 20
_NAMES = {b"content-length": "CONTENT_LENGTH", b"content-type": "CONTENT_TYPE"}


class WsgiApp:
    """app: the WSGI app; threads: how many requests it serves at once."""

    def __init__(self, app: Callable[..., Iterable[bytes]], threads: int) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(threads, "wsgi")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        body = await _body(scope, receive)
        if body is None:  # the client has gone
            return
        call = _Call(self._app, scope, body)
        run = asyncio.get_running_loop().run_in_executor
        try:
            piece = await run(self._threads, call.begin)
            await send({"type": "http.response.start", "status": call.status, "headers": call.headers})
            while not call.is_over:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await run(self._threads, call.next)
            await send({"type": "http.response.body", "body": piece})
        finally:
            if not call.is_closed:
                self._threads.submit(call.close)  # not waited for: its thread may hang


class _Call:
    """One call of the app; its methods run in threads, one at a time."""

    def __init__(self, app: Callable[..., Iterable[bytes]], scope: Any, body: IO[bytes]) -> None:
        self._app = app
        self._scope = scope
        self._body = body
        self._written: list[bytes] = []
        self._iterable: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())
        self._left: int | None = None
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_over = False
        self.is_closed = False
        self._has_sent = False

    def begin(self) -> bytes:
        """Call the app; the first piece of its answer."""
        self._iterable = self._app(environ_of(self._scope, self._body), self._start_response)
        if isinstance(self._iterable, list | tuple):
            self._pieces = iter((b"".join(self._iterable),))
            self._left = 0
        else:
            self._pieces = iter(self._iterable)
        piece = self.next()
        if not self.status:
            raise RuntimeError("the WSGI app did not call start_response")
        self._has_sent = True
        return piece

    def next(self) -> bytes:
        """The next piece, empty ones left out; is_over says whether it is the last."""
        for piece in self._pieces:
            found = self._with_written(piece)
            if found:
                if self._left is not None:
                    self._left -= len(found)
                    if self._left <= 0:
                        return found + self._finish()
                return found
        return self._finish()

    def close(self) -> None:
        """Let go of it, once."""
        if not self.is_closed:
            self.is_closed = True
            close = getattr(self._iterable, "close", None)
            if close is not None:
                close()
            self._body.close()  # the app may have put another one into its environment

    def _finish(self) -> bytes:
        """To the end, where there should be nothing more; what there is after all."""
        rest = self._with_written(b"".join(self._pieces))
        self.is_over = True
        self.close()
        return rest

    def _with_written(self, piece: bytes) -> bytes:
        if not self._written:
            return piece
        written, self._written = self._written, []
        return b"".join([*written, piece])

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self._has_sent and exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        for name, value in self.headers:
            if name == b"content-length":
                self._left = int(value)
        return self._written.append


def environ_of(scope: Any, body: IO[bytes]) -> dict[str, Any]:
    """The environment of a request, as PEP 3333 has it."""
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": path.removeprefix(root).encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    client = scope.get("client")
    if client is not None:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for name, value in scope["headers"]:
        key = _NAMES.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


async def _body(scope: Any, receive: Receive) -> IO[bytes] | None:
    if not any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]):
        return io.BytesIO()
    taken: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    while True:
        message = await receive()
        if message["type"] != "http.request":
            taken.close()
            return None
        taken.write(message.get("body", b""))
        if not message.get("more_body", False):
            taken.seek(0)
            return taken
