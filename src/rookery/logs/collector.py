"""The collector: one process, one thread, that reads the output of all apps and owns their log files.

::

    app 1 --stdout--> FIFO --.                      .--> NAME-0.out.log, .1, .2 ...
          --stderr--> FIFO --+--> Source -> LogFile +--> NAME-0.err.log
    app 2 --stdout--> FIFO --'    (epoll)           '--> one file for several sources: whole lines only
                        |
    keeper: holds a     |  fds by SCM_RIGHTS
    copy of each FIFO,  '-------.
    our listener (fd 3) and is  |
    our parent               manager --frames of JSON over a Unix socket--> Client -> Units

Neither keeper nor manager is needed for output to flow. If this process is killed the apps' output waits in the FIFOs;
the next collector is given them again. Requests: hello, open, flush, close, empty, reopen, stats, stop; each has an id
and is answered with the same id and ``ok``, or ``error``; what has no id is an event. Nothing here may wait: not for
an app, a disk or a client.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import stat
import sys
import time

from rookery._os.memory import keep_freed
from rookery.errors import FrameError
from rookery.logs.pack import Packer
from rookery.logs.source import Source
from rookery.logs.units import Units
from rookery.logs.watch import make_watch
from rookery.logs.wire import Client, is_trusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VERSION = 1
LISTENER_FD = 3
LIFE_FD = 4
ALONE_WITHIN = 5.0
"""Seconds to wait for the collector before."""
KEPT = 1024 * 1024
"""Bytes of freed memory kept at hand: a chunk, and what is made of it."""
LAST_ANSWER = 1.0
"""Seconds a client has to take the answer to ``stop``."""


class Collector:
    """The loop. listener: a listening Unix socket that somebody else has bound and will unlink.

    hears_signals: SIGIO has a handler.
    """

    def __init__(self, listener: socket.socket, *, hears_signals: bool = False) -> None:
        self._listener = listener
        self._watch = make_watch()
        self._packer = Packer()
        self._packer_fd = -1
        self._units = Units(self._watch, tell=self._tell, to_pack=self._to_pack, hears_signals=hears_signals)
        self._clients: set[Client] = set()
        self._is_stopping = False
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "flush": self._units.flush,
            "close": self._units.close,
            "empty": self._units.empty,
            "reopen": lambda _request: self._units.reopen(),
            "stats": lambda _request: self._units.stats(),
            "stop": self._stop,
        }

    def stop(self) -> None:
        """Leave run() after this turn; for signal handlers."""
        self._is_stopping = True

    def run(self, wakeup: int, life: int | None = None) -> None:
        """Collect until stop() or a ``stop`` request, then drain and close everything.

        wakeup: an fd that becomes readable when a signal has come; life: a pipe whose end is the end of the keeper.
        Whoever comes after the keeper brings a collector of its own, and two readers of one pipe tear its lines.
        """
        if life is not None:
            self._watch.add(life, self.stop)
        self._listener.setblocking(False)
        self._watch.add(self._listener.fileno(), self._accept)
        self._watch.add(wakeup, lambda: self._woken(os.read(wakeup, 4096)))
        while not self._is_stopping:
            for ready in self._watch.poll(self._units.timeout(), with_sources=not self._units.is_gathering):
                if isinstance(ready, Source):
                    self._units.on_event(ready)
                elif isinstance(ready, Client):
                    self._serve(ready)
                elif callable(ready):
                    ready()
            self._units.tick()
        self._units.drain()
        self._units.shut()
        for client in list(self._clients):
            self._hang_up(client, linger=LAST_ANSWER)
        self._packer.close()
        self._watch.close()

    def _woken(self, signals: bytes) -> None:
        if signal.SIGIO in signals:
            self._units.look_again()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it has gone already, or there is no fd left for it; it may come again
            return
        if not is_trusted(connection):
            connection.close()
            return
        client = Client(connection)
        self._clients.add(client)
        self._watch.add(connection.fileno(), client)

    def _serve(self, client: Client) -> None:
        if client not in self._clients:
            return
        try:
            client.send_unsent()
            for request, fds in client.receive():
                client.reply(self._answer(request, fds))
        except EOFError:
            self._hang_up(client)
        except FrameError as error:
            _say(f"a client was sent away: {error}")
            self._hang_up(client)
        else:
            self._watch.add(client.connection.fileno(), client, writing=client.has_unsent)

    def _tell(self, event: dict[str, object]) -> None:
        for client in list(self._clients):
            try:
                client.reply(event)
            except EOFError:
                self._hang_up(client)
            else:
                self._watch.add(client.connection.fileno(), client, writing=client.has_unsent)

    def _to_pack(self, path: str) -> None:
        self._packer.want(path)
        self._watch_packer()

    def _packed(self) -> None:
        self._watch.remove(self._packer_fd)
        self._packer_fd = -1
        self._packer.on_exit()
        self._watch_packer()

    def _watch_packer(self) -> None:
        if self._packer_fd < 0 <= self._packer.fileno():
            self._packer_fd = self._packer.fileno()
            self._watch.add(self._packer_fd, self._packed)

    def _hang_up(self, client: Client, *, linger: float = 0.0) -> None:
        self._clients.discard(client)
        self._watch.remove(client.connection.fileno())
        client.close(linger=linger)

    def _answer(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        number, verb = request.get("id"), request.get("verb")
        try:
            if verb == "open":
                answer = self._units.open(request, fds)
                fds = []
            elif verb in self._verbs:
                answer = self._verbs[verb](request)
            else:
                raise ValueError(f"no such verb: {verb!r}")
        except Exception as error:
            # The rim of this process: whatever is wrong with one request must not stop the output of all apps.
            if not isinstance(error, KeyError | TypeError | ValueError):
                sys.excepthook(*sys.exc_info())
            return {"id": number, "ok": False, "error": f"{type(error).__name__}: {error}"}
        finally:
            for fd in fds:
                os.close(fd)
        return {"id": number, "ok": True, **answer}

    def _hello(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"version": VERSION, "pid": os.getpid(), "units": self._units.keys()}

    def _stop(self, _request: dict[str, Any]) -> dict[str, Any]:
        self._units.drain()
        self._is_stopping = True
        return {}


def main() -> None:
    """Run the collector: ``rookery-collector HOME``, with the listening socket as fd 3. Returns when it was stopped.

    fd 4, where it is a pipe, is the keeper's life: nobody writes to it, and it ends with him.
    """
    life = _life()  # first: a descriptor of our own may get its number
    os.umask(0o077)
    with contextlib.suppress(IndexError, OSError):
        os.chdir(sys.argv[2])
    _raise_open_files()
    keep_freed(KEPT)
    lock = _only_one()
    listener = socket.socket(fileno=LISTENER_FD)
    listener.set_inheritable(False)
    collector = Collector(listener, hears_signals=True)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: collector.stop())
    signal.signal(signal.SIGIO, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGIO})
    collector.run(reading, life)
    listener.close()
    os.close(lock)


def _only_one() -> int:
    """Wait until a collector of a killed keeper has drained its pipes and gone: two readers would tear lines."""
    lock = os.open("collector.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + ALONE_WITHIN
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.005)
        else:
            return lock
    _say("the collector before does not go; going on beside it")
    return lock


def _life() -> int | None:
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(LIFE_FD).st_mode)
    except OSError:
        return None
    if is_pipe:
        os.set_inheritable(LIFE_FD, False)
    return LIFE_FD if is_pipe else None


def _raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # manager.log may be on a full disk
        sys.stderr.write(f"rookery-collector: {text}\n")
