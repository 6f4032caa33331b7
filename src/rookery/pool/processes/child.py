"""A worker of a process pool: takes tasks, one at a time, until the parent closes its end.

Started by the fork-server with four descriptors: tasks, replies, the page and claims (see wire.py); and a pickled pair:
the initializer (function and arguments, pickled) and the key of multiprocessing, each or None. Its imports are the
latency of a pool's first task, so they are few and small.
"""

from __future__ import annotations

import _socket
import errno
import importlib
import mmap
import os
import pickle
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery._base import descriptors
from rookery.errors import ResultNotSent, RookeryError, TaskNotSent
from rookery.pool.processes import here, wire
from rookery.pool.segments.lender import Borrower, Lender
from rookery.pool.values.functions_guest import Functions, FunctionUnknown
from rookery.pool.values.pickling import decode, encode, encode_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_LARGEST_PACKET = 1 << 20
_KEEP = 64 * 1024 * 1024
_IDLE = wire.PAGE.pack(0, 0.0)


class Desk:
    """The worker's side of all its connections."""

    def __init__(self, tasks: _socket.socket, replies: _socket.socket, page: mmap.mmap, claims: _socket.socket) -> None:
        self.tasks = tasks
        self.claims = claims
        self.replies = replies
        self.page = page
        self.functions = Functions()
        self.lender = Lender(keep=_KEEP)
        self.borrower = Borrower()
        self.waiting: dict[int, int] = {}
        """The descriptors of segments that the parent has lent and no task has asked for yet, by number."""
        self.number = 0
        self.leaves = False
        self._mask: set[signal.Signals | int] = set()
        os.register_at_fork(before=self._hold, after_in_parent=self._go_on, after_in_child=self._is_copied)

    def _hold(self) -> None:
        """A SIGTERM that comes to a copy before it has its own way to end is to end it all the same."""
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _go_on(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _is_copied(self) -> None:
        """A task has forked: the copy is no worker. It has neither our connections nor our way to end."""
        if here.desk is not self:
            self._go_on()
            return
        here.desk = None
        for fd in (self.tasks.detach(), self.replies.detach(), self.claims.detach(), *self.waiting.values()):
            close_quietly(fd)
        self.waiting.clear()
        if signal.getsignal(signal.SIGTERM) is _leave:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._go_on()

    def reply(self, kind: int, number: int, payload: bytes = b"", began: float = 0.0, ended: float = 0.0) -> None:
        """Send one frame to the parent."""
        self.replies.sendall(wire.FRAME.pack(number, kind, len(payload), began, ended) + payload)

    def give(self, number: int, value: Any, began: float, ended: float) -> None:
        """Send a task's result."""
        try:
            stream, buffers = encode(value)
        except BaseException as error:
            if isinstance(error, Exception):
                error = _caused(ResultNotSent("the result cannot be pickled", why=_told(error)), error)
            self.fail(number, error, began, ended)
            return
        if not buffers and len(stream) <= wire.INLINE:
            self.replies.sendall(wire.FRAME.pack(number, wire.RESULT, len(stream), began, ended) + stream)
            return
        self._hear(is_patient=False)  # what the parent gave back can be used again
        try:
            loan = self.lender.lend([stream, *buffers])
        except (RookeryError, OSError) as error:
            failed = ResultNotSent("there is no shared memory for the result", why=_told(error))
            self.fail(number, _caused(failed, error), began, ended)
            return
        where = wire.described(loan.number, loan.size, loan.offsets)
        frame = wire.FRAME.pack(number, wire.RESULT_BESIDE, len(where), began, ended) + where
        descriptors.send(self.claims, b"\0", [loan.fd])
        self.replies.sendall(frame)
        self.lender.sent(loan.number)

    def report(self, value: Any) -> None:
        """Tell the parent how far the task at work is."""
        if self.number:
            stream, _ = encode(value)
            self.reply(wire.PROGRESS, self.number, stream, monotonic())

    def fail(self, number: int, error: BaseException, began: float, ended: float) -> None:
        """Send what a task raised."""
        self.reply(wire.ERROR, number, encode_error(error), began, ended)

    def borrowed(self, where: memoryview) -> list[memoryview]:
        """The parts of a segment of the parent's."""
        number, size, offsets = wire.parts_of(where)
        while number not in self.waiting:
            self._hear(is_patient=True)
        if self.waiting[number] < 0:
            del self.waiting[number]
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self.borrower.take(self.borrower.borrow(number, self.waiting.pop(number), size), offsets)

    def give_back(self) -> None:
        """Tell the parent of segments that nothing refers to any more."""
        for number in self.borrower.released():
            self.reply(wire.RELEASED, number)

    def _hear(self, *, is_patient: bool) -> None:
        """Read what the parent says of segments; patient: wait for at least one frame."""
        flags = 0 if is_patient else _socket.MSG_DONTWAIT
        while True:
            try:
                head, fds, _ = descriptors.receive(self.replies, wire.FRAME.size, 1, flags)
            except BlockingIOError:
                return
            if not head:
                raise SystemExit(0)
            head += self._exactly(wire.FRAME.size - len(head))
            number, kind, _, _, _ = wire.FRAME.unpack(head)
            if kind == wire.RELEASED:
                self.lender.give_back(number)
            elif kind == wire.LENT:
                self.waiting[number] = fds[0] if fds else -1  # this process has no room for one more
                if is_patient:
                    return
            elif kind == wire.WITHDRAWN and number in self.waiting:
                close_quietly(self.waiting.pop(number))

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            chunk = self.replies.recv(count - len(found))
            if not chunk:
                raise SystemExit(0)
            found += chunk
        return found


def main(fds: list[int], argument: bytes) -> None:
    """Work until the parent closes its end, SIGTERM comes (the task at work is finished) or we are killed."""
    page = mmap.mmap(fds[2], wire.PAGE_SIZE)
    os.close(fds[2])
    tasks, replies, claims = (_socket.socket(fileno=fds[place]) for place in (0, 1, 3))
    desk = here.desk = Desk(tasks, replies, page, claims)
    signal.signal(signal.SIGTERM, _leave)
    try:
        initializer, authkey = pickle.loads(argument)
        if authkey is not None:
            importlib.import_module("multiprocessing.process").current_process().authkey = authkey
        if initializer is not None:
            function, arguments = initializer
            args, kwargs = decode(arguments, [])
            desk.functions.get(0, function)(*args, **kwargs)
            if here.desk is not desk:
                _end_copy()
        desk.reply(wire.READY, 0)
        _work(desk)
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone
        return
    except BaseException as error:
        if here.desk is not desk:  # a copy that a task has made by fork: its end is its own
            raise
        if isinstance(error, SystemExit) and desk.leaves:
            return
        desk.reply(wire.START_FAILED, 0, encode_error(error))
        sys.exit(1)


def _work(desk: Desk) -> None:
    """The loop. Nothing of a task lives on in it when the next one begins."""
    unpack, header, several = wire.TASK.unpack_from, wire.TASK.size, wire.SEVERAL
    receive = desk.tasks.recv_into
    buffer = bytearray(_LARGEST_PACKET)
    view = memoryview(buffer)
    while not desk.leaves:
        length = receive(buffer)
        if not length:
            return
        number, function, flags, defined = unpack(buffer)
        if not flags & several:
            start = header + defined
            _do(desk, number, function, flags, view[header:start] if defined else None, view[start:length])
            continue
        packet, count, end = number, function, header
        for _ in range(count):
            start = end + header
            number, function, flags, size = unpack(buffer, end)
            end = start + size
            if not _may_begin(desk, packet):
                break
            _do(desk, number, function, flags, None, view[start:end])


def _may_begin(desk: Desk, packet: int) -> bool:
    """Whether the next task of this packet is ours; else all that follow it there were taken back."""
    while not desk.leaves and (token := desk.claims.recv(1)):
        if token[0] == packet:
            return True
        if token[0] == packet | wire.REVOKED:
            return False
    desk.leaves = True  # asked to; or the parent is gone, or wants no more of us
    return False


def _do(desk: Desk, number: int, function: int, flags: int, definition: memoryview | None, payload: memoryview) -> None:
    packed, page, end = wire.PAGE.pack, desk.page, wire.PAGE.size
    began = monotonic()
    page[:end] = packed(number, began)
    desk.number = number
    if flags & wire.SAYS_BEGUN:
        desk.reply(wire.BEGUN, number, b"", began)
    try:
        if flags & wire.FUNCTION_BESIDE and definition is not None:
            definition = desk.borrowed(definition)[0]
        call = desk.functions.get(function, definition)
        if flags & wire.BESIDE:
            stream, *buffers = desk.borrowed(payload)
            args, kwargs = decode(stream, buffers)
        else:
            args, kwargs = decode(payload, ())
    except FunctionUnknown:
        desk.reply(wire.UNKNOWN, number)
    except BaseException as error:
        desk.fail(
            number, _caused(TaskNotSent("the worker cannot unpickle the task", why=_told(error)), error), began, 0.0
        )
    else:
        _run(desk, number, began, call, args, kwargs)
    # Nothing refers to the task any more, so that what was lent for it can be given back.
    args = kwargs = call = definition = stream = buffers = None  # type: ignore[assignment]
    desk.number = 0
    page[:end] = _IDLE
    if flags & (wire.BESIDE | wire.FUNCTION_BESIDE):
        desk.give_back()


def _run(desk: Desk, number: int, began: float, call: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        value = call(*args, **kwargs)
        if here.desk is not desk:
            _end_copy()
    except SystemExit as error:
        if desk.leaves or here.desk is not desk:
            raise
        desk.fail(number, error, began, monotonic())
    except BaseException as error:
        if here.desk is not desk:
            raise
        desk.fail(number, error, began, monotonic())
    else:
        desk.give(number, value, began, monotonic())


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Asked to end: after the task at work, at once where there is none."""
    desk = here.desk
    if desk is not None:
        desk.leaves = True
        if not desk.number:
            raise SystemExit(0)


def _end_copy() -> NoReturn:
    """A task has forked, and both have returned: the copy ends here, as if it had come to its program's end."""
    raise SystemExit(0)


def close_quietly(fd: int) -> None:
    """Close it; a task may have done so, and -1 is none."""
    try:
        os.close(fd)
    except OSError:
        return


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error
