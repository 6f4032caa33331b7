"""The keeper's loop: one thread, one selector, nothing that can block for long."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import socket
import sys
import time

from rookery._os import kernel
from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.children import Child, Children
from rookery.daemon.keeper.respawn import Respawned
from rookery.daemon.keeper.store import LOCK, DescriptorStore
from rookery.daemon.keeper.verbs import answer
from rookery.daemon.keeper.wire import Connection
from rookery.errors import LinkError, RookeryError
from rookery.process.spawn import fill_low_numbers, move_above
from rookery.process.spec import SpawnSpec

LOW_NUMBERS = 64
LOCK_TAKEN = 75
CANNOT_MANAGE = 78
"""What a manager ends with where the next one would find the same (EX_CONFIG); then it is the keeper's code too."""
_MANAGER = "@manager"
_COLLECTOR = "@collector"
_LOG_NAME = "manager.log"
_LEAVE_AFTER = 5.0


class Keeper:
    """See the package. home: absolute path; root: the folder that holds the package rookery."""

    def __init__(self, home: str, root: str, lock: int) -> None:
        self.home = home
        self.scope = places.read_scope(home)
        self.run_folder = places.make_run_folder(home, self.scope)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        lock = move_above(lock, LOW_NUMBERS)  # before the low numbers are filled: the hole would be used again
        filler = fill_low_numbers(LOW_NUMBERS)
        self.children = Children(filler=filler, open_files=soft)
        # Nobody writes to this pipe. Its end of file tells the collector that the keeper is gone, and that whoever
        # comes next brings a collector of its own: two readers of one pipe would tear its lines.
        life, self._life = os.pipe()
        self.store = DescriptorStore(lock=lock, life=life)
        self.epoch = 0
        self.manager = Respawned(self._start_manager)
        self.collector = Respawned(self._start_collector)
        self._root = root
        self._collector_spec: SpawnSpec | None = None
        self._leaseholder: Connection | None = None
        self._connections: dict[int, Connection] = {}
        self._leaving: float | None = None
        self._is_asked_to_end = False
        self._code = 0
        self._selector = selectors.DefaultSelector()
        self._wake, waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(waker, False)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._listener = self._listen()
        kernel.set_subreaper(True)

    def _listen(self) -> socket.socket:
        # Bound by its bare name from within the folder: a path in an address is cut at 107 bytes.
        os.chdir(self.run_folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listener.fileno(), 0o600)
        if os.path.lexists("keeper.sock"):
            os.unlink("keeper.sock")
        listener.bind("keeper.sock")
        listener.listen(64)
        listener.setblocking(False)
        os.chdir("/")
        self._selector.register(listener, selectors.EVENT_READ, listener)
        return listener

    def _ensure_reachable(self) -> None:
        """Make the run folder again where it was cleaned away (a logout, an eager administrator)."""
        if not os.path.lexists(os.path.join(self.run_folder, "keeper.sock")):
            self._selector.unregister(self._listener)
            self._listener.close()
            self.run_folder = places.make_run_folder(self.home, self.scope)
            self._listener = self._listen()

    # -- manager, collector, lease ----------------------------------------------------------------------------------

    def grant(self, connection: Connection, after: int) -> None:
        """Make connection the manager's; whoever was it before is told and refused from now on."""
        self.epoch = max(self.epoch, after) + 1
        connection.epoch = self.epoch
        previous, self._leaseholder = self._leaseholder, connection
        if previous is not None and previous is not connection:
            self._send(previous, {"event": "lease_lost", "epoch": self.epoch})
        if self._is_asked_to_end:
            self._send(connection, {"event": "terminate"})

    def _start_manager(self, generation: int) -> Child:
        if not places.holds_lock(self.home, self.store[LOCK]) and not self.children.apps_running():
            self.leave()  # the home was removed or made anew: another keeper may be at work there
            raise LinkError("the home is not ours any more")
        self._ensure_reachable()
        code = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); "
            "from rookery.daemon.manager.main import main; main(sys.argv[2:])"
        )
        argv = (sys.executable, "-I", "-c", code, self._root, "rookery-manager", self.home)
        log = os.open(
            os.path.join(self.home, _LOG_NAME),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        try:
            return self.children.spawn(
                SpawnSpec(argv, cwd="/"), {1: log, 2: log, 3: self.store[LOCK]}, _MANAGER, generation
            )
        finally:
            os.close(log)

    def want_collector(self, spec: SpawnSpec) -> None:
        """Run the collector by this spec from now on."""
        self._collector_spec = spec
        self.collector.want()
        self.collector.start_if_due(self._complain)

    def _start_collector(self, generation: int) -> Child:
        assert self._collector_spec is not None  # want_collector comes first
        fds = {number: self.store[str(name)] for number, name in self._collector_spec.fds.items()}
        return self.children.spawn(self._collector_spec, {2: 2, **fds}, _COLLECTOR, generation)

    def leave(self) -> None:
        """End collector and manager, then this process; for when no app is left."""
        self._leaving = time.monotonic() + _LEAVE_AFTER
        self.manager.drop()
        self.collector.drop()
        for program in (self.collector, self.manager):
            if program.child is not None:
                os.kill(program.child.pid, signal.SIGTERM)

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until leave() and everything has ended; return the exit code."""
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.manager.want()
        while not self._is_over():
            self.manager.start_if_due(self._complain)
            self.collector.start_if_due(self._complain)
            for key, events in self._selector.select(self._timeout()):
                if key.data is None:
                    self._woken()
                elif isinstance(key.data, Connection):
                    self._serve(key.data, events)
                else:
                    self._accept()
        places.remove_run_folder(self.home, self.run_folder)
        return self._code

    def _is_over(self) -> bool:
        if self._leaving is None:
            return False
        left = self.children.running()
        if left and time.monotonic() > self._leaving:
            for child in left:
                os.kill(child.pid, signal.SIGKILL)
        return not left

    def _timeout(self) -> float | None:
        due = [moment for moment in (self.manager.due, self.collector.due, self._leaving) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) + 0.001 if due else None

    def _woken(self) -> None:
        numbers = os.read(self._wake, 4096)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            # Apps are ended by the manager's rules; it asks us to leave when that is done. Where there is none just
            # now, the next one is told.
            self._is_asked_to_end = True
            if self._leaseholder is not None:
                self._send(self._leaseholder, {"event": "terminate"})
            elif not self.children.apps_running():
                self.leave()
        for child in self.children.reap():
            lifetime = (child.ended_at or 0.0) - child.started_at
            if child.key in (_MANAGER, _COLLECTOR):
                self._complain(f"{child.key[1:]} {child.pid} ended with {child.returncode} after {lifetime:.1f} s")
                self.children.forget(child.key, child.generation)
                (self.manager if child.key == _MANAGER else self.collector).ended(lifetime)
                if child.key == _MANAGER and child.returncode == CANNOT_MANAGE and not self.children.apps_running():
                    self._code = CANNOT_MANAGE
                    self.leave()
            elif self._leaseholder is not None:
                self._send(self._leaseholder, {"event": "exit", "child": child.to_json()})

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        _, uid, _ = kernel.peer(sock)
        if uid != os.geteuid():
            sock.close()
            return
        sock.setblocking(False)
        connection = Connection(sock)
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
                    reply, fds = answer(self, connection, request)
                    connection.send({"ok": True, **reply, "id": request.get("id")}, fds)
            self._watch(connection)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, RookeryError) as error:
            self._complain(f"a connection is closed: {error}")
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
        if self._leaseholder is connection:
            self._leaseholder = None
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._selector.unregister(connection.sock)
            connection.close()

    def _complain(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        try:
            sys.stderr.write(f"{stamp} keeper: {text}\n")
            sys.stderr.flush()
        except OSError:  # a full disk under manager.log must not end the keeper
            return
