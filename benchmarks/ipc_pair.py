"""Two Python processes that talk: ipc_pair.py KIND oneway|roundtrip COUNT SIZE [CPU] prints seconds.

KIND: asyncio, uvloop, sync (ours, both sides alike), mixed (asyncio here, blocking there), multiprocessing.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
import time

# ruff: noqa: PLC0415 - each contender loads its own only
SMALL = {"id": 1, "x": "hello"}


def message_of(size):
    return SMALL if size < 64 else b"x" * size


async def asyncio_here(sock, is_trip, count, message):
    from rookery.ipc.channel import Channel

    channel = Channel(sock)
    await channel.receive()
    began = time.perf_counter()
    if is_trip:
        for _ in range(count):
            await channel.send(message)
            await channel.receive()
    else:
        for _ in range(count):
            await channel.send(message)
        await channel.receive()
    took = time.perf_counter() - began
    await channel.close()
    return took


async def asyncio_there(sock, is_trip, count, message):
    from rookery.ipc.channel import Channel

    channel = Channel(sock)
    await channel.send("ready")
    if is_trip:
        async for got in channel:
            await channel.send(got)
        return
    for _ in range(count):
        await channel.receive()
    await channel.send(message)
    await channel.close()


def sync_here(sock, is_trip, count, message):
    from rookery.ipc.sync_channel import SyncChannel

    channel = SyncChannel(sock)
    channel.receive()
    began = time.perf_counter()
    for _ in range(count):
        channel.send(message)
        if is_trip:
            channel.receive()
    if not is_trip:
        channel.receive()
    return time.perf_counter() - began


def sync_there(sock, is_trip, count, message):
    from rookery.ipc.sync_channel import SyncChannel

    channel = SyncChannel(sock)
    channel.send("ready")
    if is_trip:
        for got in channel:
            channel.send(got)
        return
    for _ in range(count):
        channel.receive()
    channel.send(message)


def plain_here(connection, is_trip, count, message):
    connection.recv()
    began = time.perf_counter()
    for _ in range(count):
        connection.send(message)
        if is_trip:
            connection.recv()
    if not is_trip:
        connection.recv()
    return time.perf_counter() - began


def plain_there(connection, is_trip, count, message):
    connection.send("ready")
    if is_trip:
        for _ in range(count):
            connection.send(connection.recv())
        return
    for _ in range(count):
        connection.recv()
    connection.send(message)


def run(work, kind):
    """Run one side, in the loop that it wants."""
    if not asyncio.iscoroutine(work):
        return work
    if kind == "uvloop":
        import uvloop

        return uvloop.run(work)
    return asyncio.run(work)


SIDES = {
    "asyncio": (asyncio_here, asyncio_there),
    "uvloop": (asyncio_here, asyncio_there),
    "sync": (sync_here, sync_there),
    "mixed": (asyncio_here, sync_there),
    "multiprocessing": (plain_here, plain_there),
}


def main():
    kind, work, count, size, *cpu = sys.argv[1:]
    if cpu:
        os.sched_setaffinity(0, {int(cpu[0])})
    here, there = SIDES[kind]
    ends = multiprocessing.Pipe() if kind == "multiprocessing" else socket.socketpair()
    arguments = work == "roundtrip", int(count), message_of(int(size))
    child = os.fork()
    if not child:
        ends[0].close()
        run(there(ends[1], *arguments), kind)
        os._exit(0)
    ends[1].close()
    print(run(here(ends[0], *arguments), kind))
    ends[0].close()
    os.waitpid(child, 0)


main()
