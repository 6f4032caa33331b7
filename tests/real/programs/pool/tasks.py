"""A script worker with a task for each thing that can go well or wrong. With "async" it has an event loop."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from rookery.pool import report_progress, serve_tasks, task

IS_BUSY = [False]


@task("add")
def add(data):
    return data["a"] + data["b"]


@task("echo")
def echo(data):
    return data


@task("pid")
def pid(data):
    return os.getpid()


@task("boom")
def boom(data):
    raise ValueError(f"no {data}")


@task("leave")
def leave(code):
    print("leaving", file=sys.stderr, flush=True)
    os._exit(code)


@task("abort")
def abort(data):
    os.abort()


@task("exit")
def leave_politely(code):
    sys.exit(code)


@task("sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@task("alone")
def alone(seconds):
    """Whether no other task is at work here."""
    was_busy, IS_BUSY[0] = IS_BUSY[0], True
    time.sleep(seconds)
    IS_BUSY[0] = False
    return not was_busy


@task("count")
def count(to):
    for number in range(to):
        report_progress(number)
    return to


@task("object")
def give_object(data):
    return object()


@task("print")
def say(lines):
    for number in range(lines):
        print(f"out {number}", "x" * 100)
        print(f"err {number}", file=sys.stderr)
    sys.stdout.flush()
    return lines


@task("grow")
def grow(megabytes):
    grow.kept = b"x" * (megabytes << 20)
    return len(grow.kept)


@task("child")
def child(data):
    """A process in a session of its own."""
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


@task("stop_me")
def stop_me(data):
    """Ask ourselves to leave, in the middle of a task."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(data)
    return os.getpid()


if "async" in sys.argv:

    @task("wait")
    async def wait(seconds):
        report_progress("waiting")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(report_progress, "waited")
        return seconds


serve_tasks(status=lambda: {"args": sys.argv[1:]})
