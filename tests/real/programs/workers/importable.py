"""Functions to fork."""

import asyncio
import os
import signal
import socket
import sys


async def with_data(channel, data):
    await channel.send([data, sys.argv])
    await channel.wait_closed()


async def only_channel(channel):
    async for message in channel:
        await channel.send(message)


def blocking(channel):
    channel.on("pid", lambda _: os.getpid())
    channel.serve()


def fails(channel):
    raise ValueError("not today")


class Holder:
    @staticmethod
    async def inner(channel):
        await channel.send("inner")


def halves(channel):
    """Half of a message, and the end."""
    with socket.socket(fileno=os.dup(channel._port.reading)) as sock:
        sock.sendall((10_000_000).to_bytes(4, "big") + b"x" * 1_000)
    os.kill(os.getpid(), signal.SIGKILL)


async def goes(channel):
    """Ready, and gone."""


async def floods(channel):
    """Sends until the parent takes no more, and dies in that moment."""
    number = 0
    try:
        while True:
            async with asyncio.timeout(1):
                await channel.send(number)
            number += 1
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
