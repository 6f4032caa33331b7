"""A server with workers on one port, as a process of its own: start it, ask for its workers, have it reload, end it."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import proc
from running import Failed, wait_for

PATIENCE = 60.0
"""Seconds until the start or a reload of a server is given up."""
HELPERS = ("resource_tracker", "fork-server", "forkserver")


def free_port():
    """One that nobody has at this moment: not all servers can be asked which one they got."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(port, path="/fresh/0", timeout=2.0):
    """The pid of the worker that answers, or None."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        with socket.create_connection(("127.0.0.1", port), timeout) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
            said = b""
            while piece := link.recv(4096):
                said += piece
        return int(said.lower().split(b"\r\nx-worker:", 1)[1].split(b"\r\n", 1)[0])
    return None


class Server:
    """What it says goes into folder/log. Close it in the end."""

    most = None
    """Requests a second that it can be asked for, where that is fewer than the benchmark's."""

    def __init__(self, title, folder, *, workers):
        self.title, self.count = title, workers
        self.port = free_port()
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        """Until all workers are there and one has answered. Raises Failed."""
        self._launch()
        self._wait_for(lambda: len(self.workers()) >= self.count and ask(self.port), "its workers")

    def _launch(self):
        raise NotImplementedError

    def _spawn(self, argv, environ=None, **options):
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                argv, cwd=self.folder, env={**os.environ, **(environ or {})},
                stdout=options.pop("stdout", log), stderr=log, stdin=options.pop("stdin", subprocess.DEVNULL),
                start_new_session=True, **options,
            )  # fmt: skip

    @property
    def _log(self):
        return os.path.join(self.folder, "log")

    def workers(self):
        """The pids of those that serve."""
        found = proc.descendants(self.pid)
        return {pid for pid in found if not any(word in proc.command(pid) for word in HELPERS)}

    def reload(self):
        """Replace all workers; the seconds until the old ones have gone and new ones answer. Raises Failed."""
        old, began = self.workers(), time.monotonic()
        self._ask_to_reload()
        self._wait_for(lambda: not old & self.workers(), "the old workers' end")
        self._wait_for(lambda: len(self.workers()) >= self.count, "the new workers")
        took = time.monotonic() - began
        self._wait_for(lambda: ask(self.port) not in {None, *old}, "an answer of a new worker")
        return took

    def _ask_to_reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def _wait_for(self, condition, what):
        def is_so():
            if self._process is not None and self._process.poll() is not None:
                raise Failed(f"it has ended: {self.last_words()}")
            return condition()

        try:
            wait_for(is_so, what, timeout=PATIENCE, pause=0.02)
        except Failed as failed:
            raise Failed(f"{failed} ({self.last_words()})") from None

    def last_words(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return (file.read().strip().splitlines() or ["it said nothing"])[-1][:200]

    def close(self):
        if self._process is None:
            return
        pids = {self.pid, *proc.descendants(self.pid)}
        self._say_goodbye()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        for pid in filter(proc.is_alive, pids):  # of its own session, or workers in sessions of theirs
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _say_goodbye(self):
        self._process.terminate()
