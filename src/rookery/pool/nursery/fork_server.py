"""The fork-server: a program with one thread that has loaded what workers need, and forks one at each request.

nursery ──begin, start + descriptors, kill──► fork-server ──fork──► worker: what was asked, and the exit code of that
        ◄──importing, ready, broken, started + pidfd, refused, ended──

It is started isolated from its parent's state: never __main__, no site, nothing but what it is told. A new worker
waits for a byte by a pipe, which comes when the parent has surely been told of it: one that nobody knows never runs.
"""

from __future__ import annotations

import _socket  # see fork_server_wire
import errno
import gc
import importlib
import os
import select
import signal
import sys
import warnings
from collections import deque

from rookery._os import kernel, own_memory
from rookery._os.title import set_title
from rookery.pool.nursery.fork_server_end import forget_the_servers, run
from rookery.pool.nursery.fork_server_site import add_words, importable_again
from rookery.pool.nursery.fork_server_wire import Inbox, close_all, packed, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rookery.pool.nursery.fork_server_wire import Message


def main() -> None:
    """Serve until the parent's end of the socket is closed; argv: its number here. In each worker, do its work."""
    gc.disable()
    server = ForkServer(_socket.socket(fileno=int(sys.argv[1])))
    work = server.serve()
    if work is not None:
        del server
        gc.enable()
        run(work)
    if not server.has_preloads:
        os._exit(0)  # nothing here has anything to do at the end, and the parent waits


class ForkServer:
    """One parent, many workers."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._inbox = Inbox(sock)
        self._waiting: deque[Message] = deque()
        self._workers: dict[int, int] = {}
        """pid: the number of the request."""
        self._target: Callable[[list[int], bytes], object] | None = None
        self._is_pidfd_wanted = False
        self._cookie_name = ""
        self._cookie_at = 0
        self.has_preloads = False
        self._wake, self._woken_by = os.pipe()

    def _reset_signals(self) -> None:
        """As a program finds them, whatever the parent was started with; Ctrl-C is the parent's business."""
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
            if signal.getsignal(number) == signal.SIG_IGN and number != getattr(signal, "SIGXFSZ", None):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken_by, False)
        signal.set_wakeup_fd(self._woken_by, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    # -- serving ------------------------------------------------------------------------------------------------------

    def serve(self) -> Callable[[], object] | None:
        """Do what is asked until the parent is gone. Returns None then; and in each worker, what it is to do."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            while True:
                for fd, _ in poll.poll():
                    if fd == self._wake:
                        self._reap()
                    else:
                        self._take()
                while self._waiting:
                    work = self._do(*self._waiting.popleft())
                    if work is not None:
                        return work
        except (EOFError, ConnectionError):  # the parent has closed its end, or is gone
            self._kill_all()
            return None

    def _take(self) -> None:
        try:
            self._waiting += self._inbox.take()
        except BlockingIOError:
            return

    def _do(self, message: tuple[Any, ...], fds: list[int] | None) -> Callable[[], object] | None:
        verb = message[0]
        if verb == "start":
            return self._start(*message[1:], fds=fds)
        if verb == "begin":
            self._begin(message[1])
        elif verb == "kill":
            for pid, number in self._workers.items():
                if number == message[1]:
                    os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is still its own
        return None

    def _say(self, *message: object, fds: Sequence[int] = ()) -> None:
        data = memoryview(packed(message))
        if fds:
            data = memoryview(packed(message, fds))
        rest = data[send(self._sock, data, fds) :]
        if rest:
            self._sock.sendall(rest)

    def _reap(self) -> None:
        try:
            while os.read(self._wake, 4096):
                pass
        except BlockingIOError:
            pass
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)  # who else is a child here was started by a preload, and forgotten
            if pid == 0:
                return
            number = self._workers.pop(pid, None)
            if number is not None:
                self._say("ended", number, status)

    def _kill_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)

    # -- its beginning ------------------------------------------------------------------------------------------------

    def _begin(self, told: dict[str, Any]) -> None:
        """Become what the parent is, and load what workers need. What fails is the parent's to tell."""
        root = sys.path[-1]
        sys.path[:] = told["path"]
        if root not in sys.path:
            sys.path.append(root)
        sys.argv[:] = told["argv"]
        sys.prefix, sys.exec_prefix = told["prefixes"]
        add_words()
        self._is_pidfd_wanted = told["pidfd"]
        self.has_preloads = bool(told["preload"])
        self._find_cookie(*told["cookie"])
        set_title(told["title"])
        name = ""
        try:
            for name in told["preload"]:
                self._say("importing", name)
                _import(name)
            name, _, function = told["target"].partition(":")
            self._say("importing", name)
            self._target = getattr(_import(name), function)
        except BaseException as error:
            import traceback  # noqa: PLC0415 - 3 ms, for the worst case only

            said = "".join(traceback.format_exception(error))
            self._say("broken", name, "".join(traceback.format_exception_only(error)).strip(), said)
            raise EOFError from None
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                # Lines of several workers stay whole, and are not lost with a worker that is killed. What the preloads
                # have written goes out now, and not once more with each worker.
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._reset_signals()
        gc.freeze()
        self._say("ready")

    def _find_cookie(self, name: str, value: str) -> None:
        self._cookie_name = name
        place = own_memory.environment()
        if place is not None:
            at = own_memory.read(*place).find(f"{name}={value}\0".encode())
            self._cookie_at = place[0] + at + len(name) + 1 if at >= 0 else 0

    # -- a worker -----------------------------------------------------------------------------------------------------

    def _start(
        self, number: int, name: str, cookie: str, argument: bytes, outputs: Sequence[int], *, fds: list[int] | None
    ) -> Callable[[], object] | None:
        """Fork one, and tell the parent. outputs: which of 1 and 2 the first descriptors are to be."""
        if fds is None:
            self._say("refused", number, errno.EMFILE)
            return None
        gate: tuple[int, ...] = ()
        try:
            gate = os.pipe()
            pid = _fork()
        except OSError as error:
            self._say("refused", number, error.errno or 0)
            close_all([*fds, *gate])
            return None
        if pid == 0:
            return self._born(name, cookie, argument, outputs, fds, gate)
        close_all([*fds, gate[0]])
        try:
            self._hand_over(number, pid)
            os.write(gate[1], b".")
        except BrokenPipeError:  # it was killed already; the parent hears of that next
            pass
        finally:
            os.close(gate[1])
        return None

    def _hand_over(self, number: int, pid: int) -> None:
        """Tell the parent of a new worker. Where that cannot be done, end it."""
        pidfd = -1
        try:
            pidfd = kernel.pidfd_open(pid) if self._is_pidfd_wanted else -1
            start_time = kernel.start_time(pid) or 0
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._say("refused", number, error.errno or 0)
        else:
            self._workers[pid] = number
            self._say("started", number, pid, start_time, fds=[pidfd] if pidfd >= 0 else [])
        finally:
            if pidfd >= 0:
                os.close(pidfd)

    def _born(
        self, name: str, cookie: str, argument: bytes, outputs: Sequence[int], fds: list[int], gate: Sequence[int]
    ) -> Callable[[], object]:
        """In the copy: become a worker, and wait for the word that somebody owns us."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._sock.close()
            self._inbox.close()
            close_all(
                [self._wake, self._woken_by, gate[1], *(fd for _, waiting in self._waiting for fd in waiting or ())]
            )
            forget_the_servers()
            self._carry(cookie)
            set_title(f"rookery: pool worker {name}")
            if not os.read(gate[0], 1):  # the server was killed before it could tell: nobody knows of us
                os._exit(0)
            os.close(gate[0])
            # Not before: who is still in the server's session is one that nobody knows.
            os.setsid()
            for number in outputs:
                fd = fds.pop(0)
                os.dup2(fd, number)
                os.close(fd)
            target = self._target
            assert target is not None, "begin comes first"
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        return lambda: target(fds, argument)

    def _carry(self, cookie: str) -> None:
        """Bear a cookie of our own, for our descendants and before the kernel: each worker has a tree of its own."""
        os.environ[self._cookie_name] = cookie
        if self._cookie_at:
            own_memory.write(self._cookie_at, cookie.encode())


def _nothing(_: int, __: object) -> None:
    """The signal's number in the pipe is all that is wanted."""


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if not importable_again():
            raise
        return importlib.import_module(name)


def _fork() -> int:
    with warnings.catch_warnings():  # of threads that a preload has started, such as numpy's, which outlive no fork
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
