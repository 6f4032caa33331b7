"""HTTP by hand: what a client sees, to the last byte."""

from __future__ import annotations

import asyncio

from capabilities import DEADLINE


class Talk:
    """One connection: ``async with Talk(workers) as talk``."""

    def __init__(self, workers, *, address=None, ssl=None):
        self._workers = workers
        self._address = address
        self._ssl = ssl

    async def __aenter__(self):
        async with asyncio.timeout(DEADLINE):
            if isinstance(self._address, str):
                self.reader, self.writer = await asyncio.open_unix_connection(self._address)
            elif self._address is not None or self._ssl is not None:
                host, port = (self._address or self._workers.address)[:2]
                self.reader, self.writer = await asyncio.open_connection(host, port, ssl=self._ssl)
            else:
                self.reader, self.writer = await self._workers.connect()
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    def send(self, path="/", **headers):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())

    async def head(self):
        async with asyncio.timeout(DEADLINE):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()

    async def answer(self):
        """(head, body) of one answer."""
        head = await self.head()
        async with asyncio.timeout(DEADLINE):
            if "content-length:" in head:
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                return head, (await self.reader.readexactly(length)).decode()
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        return head, body.decode()

    async def rest(self):
        """Everything until the server closes."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read()


async def ask(workers, path="/", **options):
    """The body of one answer."""
    async with Talk(workers, **options) as talk:
        talk.send(path)
        return (await talk.answer())[1]
