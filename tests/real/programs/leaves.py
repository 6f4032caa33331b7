"""Leaves in order, in the way that argv[1] names; says each step."""

import asyncio
import logging
import os
import sys
import time

from rookery import GracefulShutdown

logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
kind = sys.argv[1]
shutdown = GracefulShutdown(limit=0.3 if "late" in kind else 20, memory_limit=1000 if kind == "memory" else None)


def say(text):
    os.write(1, f"{text}\n".encode())


@shutdown.close
def first_opened():
    say("close first")


@shutdown.close
def last_opened():
    say("close last")


@shutdown.drain
async def drain():
    say("drain")
    if kind == "late":
        await asyncio.sleep(100)
    if kind == "late and blocked":
        time.sleep(100)  # noqa: ASYNC251 - it is about that
    if kind == "impatient":
        os.kill(os.getpid(), 15)
        await asyncio.sleep(100)
    if kind == "cancelled step":
        await cancelled_by_somebody()
    if kind == "broken step":
        raise ZeroDivisionError


@shutdown.stop_accepting
async def stop_accepting():
    say("stop accepting")


async def background():
    raise ZeroDivisionError


async def cancelled_by_somebody():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def main():
    say("up")
    if "blocked" in kind and kind != "late and blocked":
        time.sleep(100)  # noqa: ASYNC251 - it is about that
    if kind == "cancelled":
        await cancelled_by_somebody()
    if kind.startswith("sys.exit"):
        sys.exit({"sys.exit 3": 3, "sys.exit text": "last words"}.get(kind))
    if kind == "returns":
        return
    if kind == "crash":
        raise ZeroDivisionError
    if kind == "task crash":
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        del task
        await asyncio.sleep(0)
    await asyncio.Event().wait()


sys.exit(asyncio.run(shutdown.run(main())))
