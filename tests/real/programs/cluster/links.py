"""Servers that speak just enough HTTP, on connections and sockets that they are given."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time

END = b"\r\n\r\n"


def said():
    body = b"%d" % os.getpid()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)


async def streams(reader, writer):
    head = await reader.readuntil(END)
    if b" /slow " in head:
        await asyncio.sleep(0.2)
    writer.write(said())
    await writer.drain()


async def sockets(sock):
    loop = asyncio.get_running_loop()
    head = b""
    while END not in head:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            return
        head += data
    if b" /slow " in head:
        await asyncio.sleep(0.2)
    await loop.sock_sendall(sock, said())


def threads(sock):
    head = b""
    while END not in head:
        data = sock.recv(4096)
        if not data:
            return
        head += data
    if b" /slow " in head:
        time.sleep(0.2)
    sock.sendall(said())


def accepting(listening):
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=_one, args=(sock,)).start()


def _one(sock):
    with sock:
        threads(sock)


async def serving(listening):
    async def handle(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            await streams(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, sock=listening)
    async with server:
        await server.serve_forever()
