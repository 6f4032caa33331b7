"""What runs in the workers of the nursery tests: ``main`` calls the function that its argument names."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import weakref


class Talk:
    """The worker's side of its socket: says lines, and waits until the test lets it go on."""

    def __init__(self, fd):
        self.sock = socket.socket(fileno=fd)

    def say(self, **facts):
        self.sock.sendall(json.dumps(facts).encode() + b"\n")

    def wait(self):
        """For a byte, or the test's end."""
        return self.sock.recv(1)


def main(fds, argument):
    name, _, rest = argument.decode().partition(" ")
    talk = Talk(fds[0])
    globals()[name](talk, rest, fds)


def greets(talk, rest, fds):
    talk.say(pid=os.getpid(), rest=rest, fds=len(fds))
    talk.wait()


def ends(talk, how, fds):
    """In one of all the ways."""
    talk.say(pid=os.getpid())
    talk.wait()
    if how == "raise":
        raise ValueError("this and that")
    if how.startswith("signal"):
        os.kill(os.getpid(), int(how[7:]))
    elif how == "segv":
        ctypes.string_at(0)
    elif how.startswith("_exit"):
        os._exit(int(how[6:]))
    elif how.startswith("exit"):
        sys.exit(int(how[5:]))
    elif how == "text":
        sys.exit("so long")
    elif how == "builtin":
        exit(5)  # noqa: PLR1722 - that is what is tried


def _status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name))


def tells_all(talk, rest, fds):
    from rookery._base.ids import COOKIE

    talk.say(
        rest=len(rest),
        path=sys.path,
        argv=sys.argv,
        prefix=sys.prefix,
        flags=[sys.flags.optimize, sys.flags.dev_mode, sys.flags.utf8_mode],
        warnoptions=sys.warnoptions,
        hash=hash("rookery"),
        cookie=os.environ[COOKIE],
        environ=dict(os.environ),
        ignored=[
            number.name
            for number in signal.Signals
            if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) == signal.SIG_IGN
        ],
        blocked=int(_status("SigBlk"), 16),
        sigint=signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        stdin=os.readlink("/proc/self/fd/0"),
        open={number: os.readlink(f"/proc/self/fd/{number}") for number in _open_numbers()},
        session=os.getsid(0),
        pid=os.getpid(),
        ppid=os.getppid(),
        folder=os.getcwd(),
        main=vars(sys.modules["__main__"]).get("__file__"),
        threads=len(os.listdir("/proc/self/task")),
    )
    talk.wait()


def _open_numbers():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue
        found.append(int(name))
    return found


def numbers(talk, rest, fds):
    import random

    found = {"random": random.random()}
    if "numpy" in sys.modules:
        import numpy as np

        found["numpy"] = float(np.random.random())  # noqa: NPY002 - the global one is the one that is copied
    talk.say(**found)


def leaves_things(talk, path, fds):
    """Says at its end which of its own calls at the end have come."""

    def say(what):
        with open(path, "a") as file:
            file.write(what + "\n")

    atexit.register(say, "atexit")
    here = {1, 2}
    weakref.finalize(here_holder := type("Holder", (), {})(), say, "finalize")
    from multiprocessing import util

    util.Finalize(None, say, args=("multiprocessing",), exitpriority=1)
    talk.say(ok=bool(here and here_holder))
    talk.wait()


def prints(talk, rest, fds):
    print("a line")
    print("no end", end="")
    print("to stderr", file=sys.stderr)
    if rest:
        os.kill(os.getpid(), signal.SIGKILL)


def has_family(talk, rest, fds):
    """A child, one in a session of its own, and one that has left its parents: all hold a descriptor of ours."""
    code = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    read, write = os.pipe()
    options = {"stdin": read, "stdout": subprocess.PIPE, "text": True, "pass_fds": (write,)}
    one = subprocess.Popen([sys.executable, "-S", "-c", code], **options)
    two = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True, **options)
    daemon = subprocess.Popen(["setsid", "-f", sys.executable, "-S", "-c", code], **options)
    pids = [int(one.stdout.readline()) for one in (one, two, daemon)]
    daemon.wait()
    runaway = _runs_away()
    forked = os.fork()
    if forked == 0:
        os.setsid()
        signal.pause()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    talk.say(pid=os.getpid(), pids=[*pids, forked, runaway])
    while True:
        signal.pause()


def _runs_away():
    """A copy of this process that has neither our session nor a parent; its pid."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        os.setsid()
        last = os.fork()
        if last == 0:
            signal.pause()
        os.write(write, b"%d" % last)
        os._exit(0)
    os.waitpid(between, 0)
    return int(os.read(read, 20))


def looks_again(talk, name, fds):
    from rookery.pool.nursery.fork_server_site import importable_again

    seen, again = [], None
    for _ in range(2):
        try:
            seen.append(__import__(name).__name__)
        except ModuleNotFoundError:
            seen.append("missing")
            again = importable_again()
    talk.say(seen=seen, again=again, twice=importable_again())
