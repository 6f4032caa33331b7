"""A client that counts every refused, reset, cut, late or wrong answer of a server."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

LATE = 10.0


class StrictClient:
    """failed: what went wrong, by what it was; stale: resets of a connection that was idle and kept alive.

    Each of the kinds runs in tasks of its own until stop(): keep_alive, each (a connection for each request), lag
    (connect, send 30 ms later), slow (the answer takes 200 ms).
    """

    def __init__(self, connect, *, slow_path="/slow"):
        self._connect = connect
        self._slow_path = slow_path
        self.answered = Counter()
        self.failed = Counter()
        self.stale = Counter()
        self.pids = Counter()
        self._tasks = []
        self._stopping = False

    def start(self, **numbers):
        """start(keep_alive=8, each=4, lag=4, slow=4)."""
        for kind, number in numbers.items():
            self._tasks += [asyncio.ensure_future(self._client(kind)) for _ in range(number)]

    async def stop(self):
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _client(self, kind):
        while not self._stopping:
            reader = writer = None
            try:
                async with asyncio.timeout(LATE):
                    reader, writer = await self._connect()
                if kind == "lag":
                    await asyncio.sleep(0.03)
                first = True
                while not self._stopping:
                    if not await self._exchange(kind, reader, writer, first):
                        break
                    first = False
            except (OSError, TimeoutError) as error:
                self.failed[f"{kind}: connect: {type(error).__name__}"] += 1
            finally:
                if writer is not None:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()

    async def _exchange(self, kind, reader, writer, first):
        """One request; whether the connection may be used again."""
        path = self._slow_path if kind == "slow" else "/"
        keeps = kind in ("keep_alive", "slow")
        got = b""
        try:
            async with asyncio.timeout(LATE):
                close = b"" if keeps else b"Connection: close\r\n"
                writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path.encode(), close))
                got = await reader.readuntil(b"\r\n\r\n")
                headers = got.decode().lower()
                assert headers.startswith("http/1.1 200"), headers
                length = int(headers.split("content-length:")[1].split("\r\n")[0])
                body = await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError, AssertionError) as error:
            nothing = not got and not getattr(error, "partial", b"")
            kinds = self.stale if nothing and not first and not isinstance(error, TimeoutError) else self.failed
            kinds[f"{kind}: {type(error).__name__}"] += 1
            return False
        self.answered[kind] += 1
        self.pids[body] += 1
        return keeps and "connection: close" not in headers
