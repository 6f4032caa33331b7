"""What the keeper holds and may do: children, descriptors, the lease, manager and collector. No sockets, no waiting."""

from __future__ import annotations

import os
import signal
import sys
import time

from rookery._os import kernel
from rookery.daemon.keeper import home as places
from rookery.daemon.keeper.programs import Command, Managers, Respawned, manager_spec, own_command
from rookery.daemon.keeper.store import LOCK, DescriptorStore
from rookery.errors import LinkError, RookeryError
from rookery.process.spec import SpawnSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.daemon.keeper.children import Child, Children
    from rookery.daemon.keeper.home import Home
    from rookery.daemon.keeper.wire import Connection

MANAGER = "@manager"
COLLECTOR = "@collector"
CANNOT_MANAGE = 78
"""What a manager ends with where the next one would find the same (EX_CONFIG); then it is the keeper's code too."""
CHECK = "@check"
_LOG = "manager.log"
_LEAVE_WITHIN = 5.0
_POLL_EVERY = 0.25
_OLD_MANAGER_WITHIN = 5.0
HANDOVER_WITHIN = 10.0


class Keeper:
    """See the package. send: sends a message to a connection (the loop's)."""

    def __init__(
        self,
        home: Home,
        command: Command,
        store: DescriptorStore,
        children: Children,
        *,
        send: Callable[[Connection, dict[str, object]], None],
    ) -> None:
        self.home, self.scope, self.run_folder = home
        self.children = children
        self.store = store
        self.epoch = 0
        self.leaseholder: Connection | None = None
        self.managers = Managers(self._start_manager, command)
        self.collector = Respawned(self._start_collector)
        self.collector_spec: SpawnSpec | None = None
        self.leaving_by: float | None = None
        self.handover_by: float | None = None
        """While it waits for the manager of a killed keeper to bring everything."""
        self.handover_from = 0
        """That manager's pid; when it dies over this there is nothing to wait for."""
        self.reexec_to: Command | None = None
        self.is_checked = False
        self.is_subreaper = False
        """Whether what an app leaves behind comes to us (the loop's)."""
        self._check: Child | None = None
        self.life_writer = -1
        """Nobody writes to this end of the pipe ``life``: its end of file tells the collector that we are gone."""
        self.code = 0
        self.ensure_reachable: Callable[[], None] = lambda: None
        """Makes the keeper's socket again where its folder was cleaned away (the loop's)."""
        self._is_asked_to_end = False
        self._send = send
        self._waiting: Connection | None = None
        self._old_manager_by: float | None = None

    # -- lease ------------------------------------------------------------------------------------------------------

    def grant(self, connection: Connection, after: int) -> bool:
        """Make connection the manager's; whoever was it before is told and refused from now on.

        False: the manager before is still at work with the state; the answer follows when it has ended.
        """
        self.epoch = max(self.epoch, after) + 1
        connection.epoch = self.epoch
        previous, self.leaseholder = self.leaseholder, connection
        if previous is not None and previous is not connection:
            self._send(previous, {"event": "lease_lost", "epoch": self.epoch})
        if self._is_asked_to_end:
            self._send(connection, {"event": "terminate"})
        candidate = self.managers.candidate
        if candidate is not None and connection.pid == candidate.pid:
            self.complain(f"manager {candidate.pid} takes over")
            if self.managers.promote() is not None:
                self._waiting = connection
                self._old_manager_by = time.monotonic() + _OLD_MANAGER_WITHIN
                return False
        return True

    def _answer_waiting(self) -> None:
        if self._waiting is not None and self.managers.leaving is None:
            waiting, self._waiting, self._old_manager_by = self._waiting, None, None
            self._send(waiting, {"ok": True, "id": waiting.lease_id, "epoch": self.epoch})

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        if self.leaseholder is connection:
            self.leaseholder = None
        if self._waiting is connection:
            self._waiting = None

    def tell(self, message: dict[str, object]) -> None:
        """Tell the manager, where there is one."""
        if self.leaseholder is not None:
            self._send(self.leaseholder, message)

    # -- manager and collector --------------------------------------------------------------------------------------

    def _start_manager(self, command: Command, generation: int, *options: str) -> Child:
        if not places.holds_lock(self.home, self.store[LOCK]):
            # Removed or made anew: another keeper may be at work there, and a manager of ours would write into its
            # state. Apps that run are left alone.
            if not self.children.apps_running():
                self.leave()
            raise LinkError("the home is not ours any more")
        self.ensure_reachable()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(os.path.join(self.home, _LOG), flags, 0o600)
        try:
            fds = {1: log, 2: log, 3: self.store[LOCK]}
            return self.children.spawn(manager_spec(command, self.home, *options), fds, MANAGER, generation)
        finally:
            os.close(log)

    def want_collector(self, spec: SpawnSpec) -> None:
        """Run the collector by this spec from now on."""
        if self.collector_spec is not None and self.collector_spec != spec:
            self.collector.terminate()  # it takes what is in the pipes with it; the next one is of the new version
        self.collector_spec = spec
        self.collector.want()
        self.collector.start_if_due(self.complain)

    def _start_collector(self, generation: int) -> Child:
        assert self.collector_spec is not None  # want_collector comes first
        fds = {number: self.store[str(name)] for number, name in self.collector_spec.fds.items()}
        return self.children.spawn(self.collector_spec, {2: 2, **fds}, COLLECTOR, generation)

    def leave(self) -> None:
        """End collector and manager, then this process; for when no app is left."""
        self.leaving_by = time.monotonic() + _LEAVE_WITHIN
        self.managers.current.drop()
        self.collector.drop()
        for program in (self.collector, self.managers.current):
            program.terminate()

    def terminate(self) -> None:
        """Somebody asks the keeper to end: apps are ended by the manager's rules, it asks us to leave afterwards.

        Where there is no manager just now, the next one is told.
        """
        self._is_asked_to_end = True
        if self.leaseholder is not None:
            self.tell({"event": "terminate"})
        elif not self.children.apps_running():
            self.leave()

    def check_and_reexec(self, command: Command) -> None:
        """Become the keeper of another version, once it has shown that it can be imported."""
        code = "import sys; sys.path.insert(0, sys.argv[1]); import rookery.daemon.keeper.main"
        self.managers.current.generation += 1
        spec = SpawnSpec((command.python, "-I", "-S", "-c", code, command.root), cwd="/")
        self._check = self.children.spawn(spec, {2: 2}, CHECK, self.managers.current.generation)
        self.reexec_to = command

    # -- what happens -----------------------------------------------------------------------------------------------

    def ended(self, child: Child) -> None:
        """A child of any kind has ended."""
        if child.is_app:
            self.tell({"event": "exit", "child": child.to_json()})
            return
        lifetime = (child.ended_at or 0.0) - child.started_at
        self.children.forget(child.key, child.generation)
        if child is self._check:
            self._check = None
            self.is_checked = child.returncode == 0
            if not self.is_checked:
                self.reexec_to = None
                self.tell({"event": "reexec_failed"})
            return
        self.complain(f"{child.key[1:]} {child.pid} ended with {child.returncode} after {lifetime:.1f} s")
        command = self.managers.command
        if child.key == COLLECTOR:
            self.collector.ended(lifetime)
        elif self.managers.ended(child, lifetime) == "candidate":
            why = f"the new manager ended with {child.returncode} before it was ready"
            self.tell({"event": "upgrade_failed", "why": why})
        elif child.returncode == CANNOT_MANAGE and child.key == MANAGER and not self.children.apps_running():
            self.code = CANNOT_MANAGE
            self.leave()
        if self.managers.command != command:
            self._fall_back()
        self._answer_waiting()

    def _fall_back(self) -> None:
        """The managers have gone back to an earlier version: follow, where this is the later one already."""
        self.complain(f"back to the version in {self.managers.command.root}")
        if self.managers.command != own_command():
            try:
                self.check_and_reexec(self.managers.command)
            except (RookeryError, OSError) as error:
                self.complain(f"the keeper stays what it is: {error}")

    def tick(self) -> None:
        """Do what is due."""
        for child in self.children.settle():
            self.ended(child)
        late = self.managers.late_candidate()
        if late is not None:
            self.complain(f"manager {late.pid} was not ready in time")
            os.kill(late.pid, signal.SIGKILL)
        now = time.monotonic()
        if self._old_manager_by is not None and now > self._old_manager_by and self.managers.leaving is not None:
            os.kill(self.managers.leaving.pid, signal.SIGKILL)
            self._old_manager_by = None
        if self.handover_by is not None and (now > self.handover_by or not kernel.is_alive(self.handover_from)):
            self.handed_over()
        self.managers.current.start_if_due(self.complain)
        self.collector.start_if_due(self.complain)

    def handed_over(self) -> None:
        """Everything of a killed keeper is here: a manager of our own may start."""
        self.handover_by = None
        self.managers.current.want()

    def next_due(self) -> float | None:
        """When tick() has something to do, in monotonic seconds."""
        moments = [self.managers.due, self.collector.due, self.leaving_by, self.handover_by, self._old_manager_by]
        if self.children.is_settling or self.handover_by is not None:
            moments.append(time.monotonic() + 0.02)
        elif self.children.is_polling:
            moments.append(time.monotonic() + _POLL_EVERY)
        return min((moment for moment in moments if moment is not None), default=None)

    def is_over(self) -> bool:
        """Whether leave() was called and nothing of ours runs any more."""
        if self.leaving_by is None:
            return False
        left = self.children.running()
        if left and time.monotonic() > self.leaving_by:
            for child in left:
                os.kill(child.pid, signal.SIGKILL)
        return not left

    def complain(self, text: str) -> None:
        """Write a line to manager.log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        try:
            sys.stderr.write(f"{stamp} keeper: {text}\n")
            sys.stderr.flush()
        except OSError:  # a full disk under manager.log must not end the keeper
            return
