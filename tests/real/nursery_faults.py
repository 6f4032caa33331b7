"""A preload that makes the fork-server fail: NURSERY_FAULT says how."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys
import threading

FEW = 64
held = []


def fork_fails(times):
    real, left = os.fork, [int(times)]

    def fork():
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EAGAIN, "no more processes")
        return real()

    os.fork = fork


def few_descriptors(left):
    """SIGUSR1: all but so many are taken; SIGUSR2: they are free again."""

    def take(*_):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for _ in range(int(left)):
            os.close(held.pop())

    def free(*_):
        while held:
            os.close(held.pop())

    signal.signal(signal.SIGUSR1, take)
    signal.signal(signal.SIGUSR2, free)


def raises(_):
    raise ValueError("a preload that fails")


def segv(_):
    ctypes.string_at(0)


def exits(code):
    sys.exit(int(code))


def hangs(_):
    threading.Event().wait()


def prints(_):
    print("preloaded", end=" ")


def dies_forking(_):
    """The server is killed in the moment in which it has forked and nobody knows."""
    real = os.fork

    def fork():
        pid = real()
        if pid:
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    os.fork = fork


def atexit_here(path):
    import atexit
    import weakref

    def say(what):
        with open(path, "a") as file:
            file.write(what + "\n")

    atexit.register(say, "of the server")
    weakref.finalize(sys, say, "finalize of the server")


def threaded(_):
    threading.Thread(target=threading.Event().wait, daemon=True).start()


_name, _, _rest = os.environ.get("NURSERY_FAULT", "").partition(" ")
if _name:
    globals()[_name](_rest)
