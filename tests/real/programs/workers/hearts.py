"""Workers that get stuck in one way or another, and one that watches its parent."""

import ctypes
import time


def computes(channel, seconds):
    """Busy in Python itself: the interpreter's lock changes hands."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))
    channel.send("done")
    channel.serve()


def holds_the_lock(channel):
    """Somewhere in C, without letting go of the interpreter's lock."""
    channel.send("now")
    ctypes.PyDLL(None).sleep(600)


async def blocks_its_loop(channel, seconds):
    await channel.send("now")
    await channel.ping()  # so that it has left
    time.sleep(seconds)  # noqa: ASYNC251 - that is what it is for
    await channel.wait_closed()


async def talks_much(channel):
    """Sends what nobody receives."""
    while True:
        await channel.send("x" * 10_000)


def watches(channel):
    """Says on stdout, once each, how it stands with the parent."""
    last = None
    while not channel.heartbeat.has_ended:
        silent = channel.heartbeat.is_silent
        if silent != last:
            print("silent" if silent else "heard", flush=True)
            last = silent
        time.sleep(0.01)


async def watches_in_a_loop(channel):
    print("heard", flush=True)
    channel.heartbeat.on_silence(lambda silent: print("silent" if silent else "heard", flush=True))
    await channel.wait_closed()


async def is_not_watched(channel):
    await channel.send(channel.heartbeat)
