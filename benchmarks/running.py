"""Commands that are timed, and waiting for what they cause."""

import os
import signal
import subprocess
import time

import proc


class Failed(Exception):
    """A command or a program did not do what it was started for; the text goes into the table."""


def run(argv, env=None, *, timeout=180):
    """Run a command; the seconds it took and what it printed. Raises Failed."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {timeout} s") from None
    took = time.monotonic() - began
    if done.returncode:
        raise Failed(_gist([*done.stderr.splitlines(), *done.stdout.splitlines()]) or f"exit code {done.returncode}")
    return took, done.stdout


def wait_for(condition, what, *, timeout=60.0, pause=0.001):
    """Seconds until condition() is true. Raises Failed."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout:
            raise Failed(f"{what}: not within {timeout:g} s")
        time.sleep(pause)
    return time.monotonic() - began


def end(pids, *, timeout=10.0):
    """See that processes which were told to leave have gone; kill those that have not."""
    began = time.monotonic()
    for pid in pids:
        while proc.is_alive(pid):
            if time.monotonic() - began > timeout:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _gist(said):
    """The line that tells most: the last one of a traceback, one that speaks of failing, else the first one."""
    if said and said[0].startswith("Traceback"):
        return said[-1]
    return next((line for line in said if "fail" in line), said[0] if said else "")
