"""The keeper's loop: one thread, one selector, nothing that can block for long."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time

from rookery._os import kernel
from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.reexec import reexec
from rookery.daemon.keeper.verbs import answer
from rookery.daemon.keeper.wire import Connection
from rookery.errors import RookeryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.daemon.keeper.core import Keeper

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


class Loop:
    """Feeds a keeper: signals, connections, pidfds of the adopted, time.

    make_keeper: gives the keeper, from the function that sends to a connection; listener: a listening socket, or None
    to make one.
    """

    def __init__(self, make_keeper: Callable[[Callable[..., None]], Keeper], listener: socket.socket | None) -> None:
        self.keeper = make_keeper(self._send)
        self._connections: dict[int, Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(waker, False)
        self._selector.register(self._wake, selectors.EVENT_READ, self._woken)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        # What is ignored here would be ignored by every app; a handler is not inherited. (nohup, a shell's &)
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for number in (*_SIGNALS, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._listener = listener or _listen(self.keeper.run_folder)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self.keeper.ensure_reachable = self._ensure_reachable
        self.keeper.is_subreaper = kernel.set_subreaper(True)
        for pidfd, _ in self.keeper.children.adopted():
            if pidfd >= 0:
                self.watch_adopted(pidfd)

    def run(self) -> int:
        """Run until the keeper is over and return the exit code; does not return where it re-executes itself."""
        keeper = self.keeper
        self._reap()  # what ended while there was no handler
        while not keeper.is_over():
            keeper.tick()
            due = keeper.next_due()
            timeout = None if due is None else max(0.0, due - time.monotonic()) + 0.001
            for key, events in self._selector.select(timeout):
                if isinstance(key.data, Connection):
                    self._serve(key.data, events)
                else:
                    key.data()
            if keeper.is_checked and keeper.reexec_to is not None:
                self._become(keeper)
        places.remove_run_folder(keeper.home, keeper.run_folder)
        return keeper.code

    def watch_adopted(self, pidfd: int) -> None:
        """Hear of the end of an adopted process."""

        def ended() -> None:
            self._selector.unregister(pidfd)
            self.keeper.children.adopted_ended(pidfd)

        self._selector.register(pidfd, selectors.EVENT_READ, ended)

    def _ensure_reachable(self) -> None:
        # A logout or an eager administrator may have cleaned the run folder away, or the link to it.
        keeper = self.keeper
        if os.path.lexists(os.path.join(keeper.home, "run", "keeper.sock")):
            return
        keeper.run_folder = places.make_run_folder(keeper.home, keeper.scope)
        if not os.path.lexists(os.path.join(keeper.run_folder, "keeper.sock")):
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = _listen(keeper.run_folder)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _become(self, keeper: Keeper) -> None:
        # The manager must not take our silence for our death; it leaves, and the new keeper starts the next one.
        keeper.tell({"event": "reexec"})
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for connection in list(self._connections.values()):
            self._close(connection)
        try:
            reexec(keeper, self._listener)
        except OSError as error:
            keeper.complain(f"could not become another version: {error}")
            keeper.reexec_to, keeper.is_checked = None, False
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _woken(self) -> None:
        numbers = os.read(self._wake, 4096)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self.keeper.terminate()
        self._reap()

    def _reap(self) -> None:
        for child in self.keeper.children.reap():
            self.keeper.ended(child)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        pid, uid, _ = kernel.peer(sock)
        if uid != os.geteuid():
            sock.close()
            return
        sock.setblocking(False)
        connection = Connection(sock, pid)
        self._connections[sock.fileno()] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _serve(self, connection: Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                connection.flush()
            if events & selectors.EVENT_READ:
                requests = connection.receive()
                if requests is None:
                    self._close(connection)
                    return
                for request in requests:
                    reply = answer(self.keeper, connection, request, watch=self.watch_adopted)
                    if reply is not None:
                        connection.send({"ok": True, **reply[0], "id": request.get("id")}, reply[1])
            self._watch(connection)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, RookeryError) as error:
            self.keeper.complain(f"a connection is closed: {error}")
            self._close(connection)

    def _send(self, connection: Connection, message: dict[str, object]) -> None:
        try:
            connection.send(message)
            self._watch(connection)
        except (OSError, RookeryError):
            self._close(connection)

    def _watch(self, connection: Connection) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.wants_to_write else 0)
        self._selector.modify(connection.sock, events, connection)

    def _close(self, connection: Connection) -> None:
        self.keeper.closed(connection)
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._selector.unregister(connection.sock)
            connection.close()


def _listen(folder: str) -> socket.socket:
    # Bound by its bare name from within the folder: a path in an address is cut at 107 bytes.
    os.chdir(folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o600)
    if os.path.lexists("keeper.sock"):
        os.unlink("keeper.sock")
    listener.bind("keeper.sock")
    listener.listen(64)
    listener.setblocking(False)
    os.chdir("/")
    return listener
