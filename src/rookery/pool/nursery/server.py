"""The parent's side of one fork-server: its start, what is asked of it, and its end."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._base.ids import COOKIE
from rookery._os import kernel
from rookery.errors import NotReady, RookeryError
from rookery.lifecycle.exit import ExitStatus
from rookery.pool.nursery.fork_server_wire import Inbox, packed, send
from rookery.pool.nursery.worker import WorkerHandle
from rookery.process.guard import GUARD
from rookery.process.kill import kill_now
from rookery.process.local import LocalHandle
from rookery.process.lookup import explain
from rookery.process.reaper import TABLE
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
from rookery.worker.wires import Wires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rookery._os.linux import ProcessFacts

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# At the end: what lies beside the package must not hide what the interpreter would find.
_CODE = "import sys; sys.path.append(sys.argv.pop(1)); from rookery.pool.nursery.fork_server import main; main()"
_LAST_STEPS = 1.0
_GHOST_PAUSES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class ServerPlan(NamedTuple):
    """What every fork-server of a nursery is started with; what a server is told is made of it.

    environ and cwd: as they were when the first was started; limit: seconds within which it has to answer.
    """

    name: str
    target: str
    preload: tuple[str, ...]
    environ: dict[str, str]
    cwd: str | None
    path: tuple[str, ...]
    argv: tuple[str, ...]
    limit: float

    def told(self, cookie: str) -> dict[str, Any]:
        """The first message, without which it is nothing."""
        return {
            "path": list(self.path),
            "argv": list(self.argv),
            "prefixes": (sys.prefix, sys.exec_prefix),
            "preload": list(self.preload),
            "target": self.target,
            "title": f"rookery: pool {self.name}".rstrip(),
            "cookie": (COOKIE, cookie),
            "pidfd": kernel.has_pidfd(),
        }


class ServerLostError(Exception):
    """Internal: the server ended before it answered. error: what to tell; is_fatal: another would fare no better."""

    def __init__(self, error: RookeryError, *, is_fatal: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_fatal = is_fatal


class _Request(NamedTuple):
    name: str
    cookie: str
    answer: asyncio.Future[WorkerHandle]
    asked: float


class _Outgoing:
    """A message that waits for room. fds: until they have gone with its first byte."""

    def __init__(self, data: bytes, number: int, fds: Sequence[int]) -> None:
        self.rest = memoryview(data)
        self.number = number
        self.fds = fds
        self.is_begun = False


class ServerLink:
    """One fork-server. Use it in the event loop in which it was made. Raises SpawnError."""

    def __init__(self, plan: ServerPlan, number: int, on_end: Callable[[ServerLink], object]) -> None:
        self._plan = plan
        self._number = number
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._requests: dict[int, _Request] = {}
        self._workers: dict[int, WorkerHandle] = {}
        """Those whose end the server has not told yet."""
        self._outbox: deque[_Outgoing] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._loop.time()
        self._importing = ""
        self._is_ready = False
        self._broken: NotReady | None = None
        self._sock, theirs = socket.socketpair()
        cookie = self._cookie(0)
        wires = Wires(())
        try:
            argv = (
                sys.executable, *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]  # noqa: SLF001
                "-S", "-P", "-c", _CODE, _ROOT, str(wires.add(theirs)),
            )  # fmt: skip
            outputs = {fd: fd for fd in (1, 2) if _is_open(fd)}
            spec = SpawnSpec(argv, {**plan.environ, COOKIE: cookie}, plan.cwd)
            self._entry = TABLE.add(spawn_process(spec, {**outputs, **wires.fds}), self._loop)
        except BaseException:
            self._sock.close()
            raise
        finally:
            theirs.close()
            wires.close()
        self.pid, self.start_time = self._entry.pid, self._entry.start_time
        self._sock.setblocking(False)
        self._inbox = Inbox(self._sock)
        self._loop.add_reader(self._sock.fileno(), self._readable)
        self._entry.exit.add_done_callback(self._exited)
        self._send(("begin", plan.told(cookie)))
        GUARD.begin()
        GUARD.watch(self.pid, self.start_time, cookie)

    @property
    def is_usable(self) -> bool:
        """Whether workers can be asked of it."""
        return self._sock.fileno() >= 0 and not self._entry.exit.done()

    def _cookie(self, number: int) -> str:
        # All of one length: a worker writes its own over the server's. Unlike those of any other children of ours.
        return f"{GUARD.scope}:p{self._number:06d}w{number:09d}:1"

    # -- asking -------------------------------------------------------------------------------------------------------

    async def start(self, name: str, fds: Sequence[int], argument: bytes, outputs: Sequence[int]) -> WorkerHandle:
        """See Nursery.start_worker. Raises ServerLostError besides."""
        self._numbers += 1
        number, cookie = self._numbers, self._cookie(self._numbers)
        answer: asyncio.Future[WorkerHandle] = self._loop.create_future()
        self._requests[number] = _Request(name, cookie, answer, self._loop.time())
        self._watch()
        try:
            self._send(("start", number, name, cookie, argument, tuple(outputs)), number, fds)
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._drop(number)  # it came in the very moment
            raise
        finally:
            self._requests.pop(number, None)
            self._outbox = deque(one for one in self._outbox if one.is_begun or one.number != number)

    def _drop(self, number: int) -> None:
        """End a worker that nobody waits for any more."""
        handle = self._workers.get(number)
        if handle is not None:
            kill_now(handle.tree())
            handle.on_exit(WorkerHandle.close)

    def _send(self, message: tuple[Any, ...], number: int = 0, fds: Sequence[int] = ()) -> None:
        self._outbox.append(_Outgoing(packed(message, fds), number, fds))
        if len(self._outbox) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._outbox and self._sock.fileno() >= 0:
            one = self._outbox[0]
            try:
                count = send(self._sock, one.rest, one.fds)
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._flush)
                return
            except OSError as error:
                if one.is_begun or error.errno in (errno.EPIPE, errno.ECONNRESET):
                    return  # the end of it is told by reading
                self._outbox.popleft()
                self._refuse(one.number, error.errno or 0)
                continue
            one.is_begun, one.fds, one.rest = True, (), one.rest[count:]
            if not one.rest:
                self._outbox.popleft()
        if self._sock.fileno() >= 0:
            self._loop.remove_writer(self._sock.fileno())

    # -- listening ----------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            messages = self._inbox.take()
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._loop.remove_reader(self._sock.fileno())
            if not self._entry.exit.done():  # it is about to end: how it ended is worth a moment
                self._loop.call_later(_LAST_STEPS, self._give_up)
            return
        self._heard = self._loop.time()
        for message, fds in messages:
            self._hear(message, fds)

    def _hear(self, message: tuple[Any, ...], fds: list[int] | None) -> None:
        verb = message[0]
        if verb == "started":
            self._started(message[1], message[2], message[3], fds)
        elif verb == "ended":
            handle = self._workers.pop(message[1], None)
            if handle is not None:
                handle.settle(ExitStatus.from_returncode(os.waitstatus_to_exitcode(message[2])))
        elif verb == "refused":
            self._refuse(message[1], message[2])
        elif verb == "importing":
            self._importing = message[1]
        elif verb == "ready":
            self._is_ready, self._importing = True, ""
        elif verb == "broken":
            self._broken = self._not_ready(
                f"{message[1]!r} cannot be imported: {message[2]}\n{message[3]}",
                hint="it is a preload of the pool" if message[1] in self._plan.preload else "",
            )

    def _started(self, number: int, pid: int, start_time: int, fds: list[int] | None) -> None:
        request = self._requests.get(number)
        pidfd = fds[0] if fds else -1
        try:
            if fds is None:  # no number was free for its pidfd
                raise OSError(errno.EMFILE, "no descriptors left")
            if request is None or request.answer.done():
                raise InterruptedError  # nobody waits for it any more
            handle = WorkerHandle(request.name, pid, start_time, pidfd, request.cookie)
        except OSError as error:
            if pidfd >= 0:
                os.close(pidfd)
            self._send(("kill", number))
            self._refuse(number, error.errno or 0)
            return
        self._workers[number] = handle
        request.answer.set_result(handle)

    def _refuse(self, number: int, code: int) -> None:
        request = self._requests.get(number)
        if request is not None and not request.answer.done():
            argv = (f"pool worker {request.name}".rstrip(),)
            request.answer.set_exception(explain(code, argv, stage="fork", env=None, cwd=None))

    # -- its end ------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """See that somebody who asked is not left without an answer for ever."""
        if self._timer is None and self._requests:
            since = max(self._heard, min(request.asked for request in self._requests.values()))
            self._timer = self._loop.call_at(since + self._plan.limit, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._requests:
            return
        since = max(self._heard, min(request.asked for request in self._requests.values()))
        if self._loop.time() < since + self._plan.limit:
            self._watch()
            return
        doing = f" while it imported {self._importing!r}" if self._importing else ""
        self._give_up(f"the fork-server did not answer for {self._plan.limit:g} s{doing}")

    def _give_up(self, why: str = "the fork-server has left") -> None:
        """End it; what it had answered until now counts."""
        self.kill()
        self._hang_up(why)

    def _exited(self, _: object) -> None:
        status = self._entry.exit.result()
        how = f"was {status}" if status.signal is not None else str(status)
        doing = f" while it imported {self._importing!r}" if self._importing else ""
        self._hang_up(f"the fork-server {how}{doing}")
        GUARD.forget(self.pid, self.start_time)
        for handle in list(self._workers.values()):
            handle.lose_server()
        self._workers.clear()

    def _hang_up(self, why: str) -> None:
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        try:
            # From here on it cannot tell of a worker any more, and so starts none. What it has told is there to read.
            self._sock.shutdown(socket.SHUT_RDWR)
            while True:
                for message, fds in self._inbox.take():
                    self._hear(message, fds)
        except (OSError, EOFError):
            pass
        self._inbox.close()
        self._sock.close()
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.clear()
        error = self._broken or self._not_ready(why)
        is_fatal = self._broken is not None or not self._is_ready
        for request in self._requests.values():
            if not request.answer.done():
                request.answer.set_exception(ServerLostError(error, is_fatal=is_fatal))
        self._on_end(self)

    def _not_ready(self, why: str, hint: str = "") -> NotReady:
        code = self._entry.exit.result().returncode if self._entry.exit.done() else None
        return NotReady(why, argv=(f"pool {self._plan.name}".rstrip(),), returncode=code, hint=hint)

    def kill(self) -> None:
        """SIGKILL to it alone."""
        LocalHandle(self._entry).signal(signal.SIGKILL)

    async def close(self) -> None:
        """Hang up, which ends it and the workers it has left, and wait for its end."""
        self._hang_up("the nursery was closed")
        try:
            async with asyncio.timeout(_LAST_STEPS):
                await LocalHandle(self._entry).wait()
        except TimeoutError:
            self.kill()
            await LocalHandle(self._entry).wait()

    async def reap_ghosts(self) -> None:
        """Once it has ended: reap who it had forked and not told of; that one ends by itself, as it is not let go on.

        Its end is the server's, so it is ours by now, we being the subreaper, and in a session that nobody else is in.
        """
        await LocalHandle(self._entry).wait()
        for pause in _GHOST_PAUSES:
            TABLE.reap_strays(self._is_ghost)
            found = [kernel.facts(pid) for pid in kernel.adopted()]
            if not any(one is not None and self._is_ghost(one) for one in found):
                return
            await asyncio.sleep(pause)

    def _is_ghost(self, process: ProcessFacts) -> bool:
        return process.session == self.pid and process.start_time >= self.start_time

    def leave_to_parent(self) -> None:
        """In a forked copy of this process: let go of our copy, and touch nothing that is the parent's."""
        if self._sock.fileno() >= 0:
            os.close(self._sock.detach())


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
