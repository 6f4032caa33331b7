"""Which descriptors a child gets, and what we keep of them."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rookery._os.pipe_size import pipe
from rookery.errors import UsageError
from rookery.process.feed import is_whole
from rookery.process.output import OutputStream
from rookery.process.stdio import CAPTURE, DISCARD, INHERIT, PIPE, STDOUT, Tee

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.process.options import Options

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class OutputEnd:
    """Our end of one output: what is done with its bytes."""

    __slots__ = ("fd", "is_kept", "is_live", "sinks", "stream")

    def __init__(self, stream: int, fd: int, targets: tuple[Any, ...], sinks: list[Callable[[bytes], object]]) -> None:
        self.stream = stream
        self.fd = fd
        self.is_live = PIPE in targets
        self.is_kept = CAPTURE in targets
        self.sinks = sinks


class Wiring:
    """The descriptors of one start.

    fds: the child's, as spawn_process wants them. stdin: our end, or -1; data: what is to be fed through it.
    """

    def __init__(self) -> None:
        self.fds: dict[int, int] = {}
        self.stdin = -1
        self.data: Any = None
        self.outputs: list[OutputEnd] = []
        self.pty: str | None = None
        self.files: list[int] = []
        """What we write to while the child runs."""
        self._childs: list[int] = []

    def started(self) -> None:
        """The child has its own now."""
        for fd in self._childs:
            os.close(fd)
        self._childs.clear()

    def give_up(self) -> None:
        """Nothing was started."""
        self.started()
        self.close_files()
        for fd in (self.stdin, *(end.fd for end in self.outputs)):
            if fd >= 0:
                os.close(fd)

    def close_files(self) -> None:
        """Close what was opened for tee."""
        for fd in self.files:
            with suppress(OSError):
                os.close(fd)
        self.files.clear()

    # -- making it ------------------------------------------------------------------------------------------------

    def terminal(self, size: bool | tuple[int, int], owner: int | None) -> None:
        """One terminal for all three."""
        ours, theirs = os.openpty()
        self.stdin, self.outputs = os.dup(ours), [OutputEnd(1, ours, (), [])]
        self._childs.append(theirs)
        os.set_blocking(ours, False)  # the description's, so for both
        rows, columns = (24, 80) if isinstance(size, bool) else size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        if owner is not None:
            os.fchown(theirs, owner, -1)
        self.pty = os.ttyname(theirs)
        self.fds = dict.fromkeys(range(3), theirs)

    def input(self, target: Any, data: Any) -> None:
        """What stdin is: target (None for nothing), or a pipe through which data comes."""
        if data is not None and not is_whole(data):
            fileno = _fileno(data)
            if fileno is not None:
                self.fds[0] = fileno
                return
            if isinstance(data, OutputStream):
                target, data = data, None
        if isinstance(target, OutputStream):
            fd = target.give_away()
            if fd is not None:
                self._childs.append(fd)
                self.fds[0] = fd
                return
            target, data = None, target
        if data is not None or target is PIPE:
            self.data = data
            theirs, self.stdin = pipe(ours=1)
            self._childs.append(theirs)
            self.fds[0] = theirs
        elif target is INHERIT:
            self.fds[0] = 0
        elif target is not None and target is not DISCARD:
            if target in (CAPTURE, STDOUT):
                raise UsageError(f"stdin cannot be {target}")
            self.fds[0] = self._file(target, os.O_RDONLY | os.O_CLOEXEC)

    def output(self, stream: int, target: Any) -> None:
        """What stdout (1) or stderr (2) is."""
        if target is STDOUT:
            if stream != 2:
                raise UsageError("only stderr can be STDOUT")
            if 1 in self.fds:
                self.fds[2] = self.fds[1]
        elif target is INHERIT:
            self.fds[stream] = stream
        elif target is DISCARD:
            return
        elif target in (PIPE, CAPTURE):
            self._pipe(stream, (target,), [])
        elif isinstance(target, Tee):
            self._pipe(
                stream,
                target.targets,
                [self._sink(one, stream) for one in target.targets if one not in (PIPE, CAPTURE)],
            )
        elif callable(target) or (hasattr(target, "write") and _fileno(target) is None):
            self._pipe(stream, (), [self._sink(target, stream)])
        else:
            self.fds[stream] = self._file(target, _WRITE)

    def extra(self, fds: dict[int, Any]) -> None:
        """Descriptors above the standard ones: {the child's number: descriptor or file of ours}."""
        for number, target in fds.items():
            if number < 3:
                raise UsageError(f"fds are numbers from 3 on, not {number}", hint="see stdin, stdout and stderr")
            self.fds[number] = target if isinstance(target, int) else target.fileno()

    def _pipe(self, stream: int, targets: tuple[Any, ...], sinks: list[Callable[[bytes], object]]) -> None:
        ours, theirs = os.pipe()  # its reader sees to it that ours does not block
        self._childs.append(theirs)
        self.fds[stream] = theirs
        self.outputs.append(OutputEnd(stream, ours, targets, sinks))

    def _file(self, target: Any, flags: int) -> int:
        if isinstance(target, int):
            return target
        fileno = _fileno(target)
        if fileno is not None:
            if hasattr(target, "flush") and flags != os.O_RDONLY | os.O_CLOEXEC:
                target.flush()
            return fileno
        fd = os.open(target, flags, 0o666)
        self._childs.append(fd)
        return fd

    def _sink(self, target: Any, stream: int) -> Callable[[bytes], object]:
        if target is INHERIT:
            target = stream
        if callable(target):
            return target  # type: ignore[no-any-return]
        fileno = target if isinstance(target, int) else _fileno(target)
        if fileno is None and hasattr(target, "write"):
            return target.write  # type: ignore[no-any-return]
        if fileno is None:
            fileno = os.open(target, _WRITE, 0o666)
            self.files.append(fileno)
        number = fileno

        def write(data: bytes) -> None:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(number, rest) :]

        return write


def _fileno(target: Any) -> int | None:
    """The descriptor of an open file; None for what has none (memory files have the method, and raise)."""
    method = getattr(target, "fileno", None)
    if method is None:
        return None
    try:
        return int(method())
    except (OSError, ValueError):
        return None


def wire(
    options: Options, default: Any, uid: int | None = None, *, stdin: int | None = None, stdout: int | None = None
) -> Wiring:
    """The descriptors for these options.

    default: what outputs are that nothing is said about; stdin, stdout: descriptors of a pipeline that take their
    places; uid: who is to own a terminal. Raises OSError, UsageError; then nothing is left open.
    """
    wiring = Wiring()
    try:
        if options.pty:
            wiring.terminal(options.pty, uid)
            wiring.outputs[0].is_live, wiring.outputs[0].is_kept = default is PIPE, default is CAPTURE
            if options.input is not None:
                wiring.data = options.input
        else:
            if stdin is not None:
                wiring.fds[0] = stdin
            elif options.stdin is not None or options.input is not None:
                wiring.input(options.stdin, options.input)
            if stdout is not None:
                wiring.fds[1] = stdout
            elif (target := options.stdout if options.stdout is not None else default) is not DISCARD:
                wiring.output(1, target)
            if (target := options.stderr if options.stderr is not None else default) is not DISCARD:
                wiring.output(2, target)
        if options.fds:
            wiring.extra(dict(options.fds))
    except BaseException:
        wiring.give_up()
        raise
    return wiring
