"""Typed memory that processes share."""

from __future__ import annotations

import fcntl
import importlib
import os
import struct
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from rookery.errors import SharedMemoryError, UsageError
from rookery.ipc import shared_header, shared_lock, shared_names, shared_segment, shared_types
from rookery.ipc.atomics import Atomics
from rookery.ipc.shared_segment import Address

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator, Sequence
    from typing import Self

    from rookery.ipc.shared_header import Header
    from rookery.ipc.shared_types import Layout


class SharedArray:
    """Elements of one type in memory that processes share; all zero at first.

    kind: a code of the module ``array``, a name such as "int64" or "float32", int, float, bool, or a NumPy dtype.
    shape: the number of elements, or a tuple of sizes. name: others of this user may attach() by it for as long as this
    process has the array open; the name is forgotten when it closes it or ends, however it ends.

    Children by fork have it already. Others get it by pickle (this process must still have it open when they load it),
    as a descriptor (fileno(), from_fd()), or by name. The memory is freed when the last one lets go of it.
    Reading and writing single elements never tears; for anything that depends on what was there before use ``atomics``.
    Raises UsageError, and SharedMemoryError where the memory cannot be had or the name is taken.
    """

    def __init__(self, kind: object, shape: int | tuple[int, ...], *, name: str | None = None) -> None:
        if name is not None:
            shared_names.check(name)
        header = shared_header.Header.new(shared_types.layout(kind, shape))
        fd, path = shared_segment.create(shared_header.SIZE + header.layout.bytes)
        address = shared_segment.address_of(fd, path)
        self._finish = weakref.finalize(self, _let_go, fd, address, name or "", os.getpid())
        try:
            memory = shared_segment.map_whole(fd)
            shared_lock.initialise(header.lock, memory)
            header.write(memoryview(memory))
            self._take(fd, path, memory, header)
            if name is not None:
                shared_names.claim(name, address)
        except BaseException:
            self._finish()
            raise
        self.name = name

    @classmethod
    def attach(cls, name: str) -> Self:
        """The array that a process of this user made with this name. Raises SharedMemoryError, UsageError."""
        shared_names.check(name)
        array = cls.at(shared_names.find(name))
        array.name = name
        return array

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """The array behind a descriptor that was inherited or received; fd stays the caller's.

        Raises SharedMemoryError where it is none.
        """
        try:
            own = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)
        except OSError as error:
            raise SharedMemoryError("this descriptor is no shared array", why=str(error)) from error
        array = cls.__new__(cls)
        array.__setstate__((own, ""))
        return array

    @classmethod
    def at(cls, address: Sequence[Any]) -> Self:
        """The array that another process has open there; what a pickle holds. Raises SharedMemoryError."""
        found = Address(*address)
        array = cls.__new__(cls)
        array.__setstate__((shared_segment.open_address(found), found.path))
        return array

    def __setstate__(self, place: tuple[int, str]) -> None:
        """Become the array of a descriptor, which is ours from now on."""
        fd, path = place
        self._finish = weakref.finalize(self, _let_go, fd, None, "", 0)
        try:
            memory = shared_segment.map_whole(fd)
            self._take(fd, path, memory, shared_header.Header.read(memoryview(memory)))
        except BaseException:
            self._finish()
            raise
        self.name = None

    def _take(self, fd: int, path: str, memory: mmap.mmap, header: Header) -> None:
        self._fd = fd
        self._path = path
        self._header = header
        self.layout = layout = header.layout
        flat = memoryview(memory)[shared_header.SIZE : shared_header.SIZE + layout.bytes]
        self._view: memoryview | None = flat.cast(layout.code, layout.shape)  # type: ignore[call-overload]
        self._memory: mmap.mmap | None = memory
        self._atomics: Atomics | None = None

    @property
    def atomics(self) -> Atomics:
        """Operations that nobody else can come between. Raises UsageError where the elements are no integers."""
        if self._atomics is None:
            memory, layout = self._opened()
            if not layout.is_integer:
                raise UsageError(
                    f"atomic operations need integers, this array holds {layout.code!r}",
                    hint="use a type such as int64 or uint32",
                )
            lock = shared_lock.make(self._header.lock, memory, self._fd, self._path)
            elements = memoryview(memory)[shared_header.SIZE : shared_header.SIZE + layout.bytes].cast(layout.code)  # type: ignore[call-overload]
            self._atomics = Atomics(memory, elements, layout, lock)
        return self._atomics

    @property
    def view(self) -> memoryview:
        """The memory itself, typed and shaped; it stays valid after close()."""
        if self._view is None:
            raise UsageError("this shared array is closed")
        return self._view

    def numpy(self) -> Any:
        """A NumPy array over the same memory; it stays valid after close(). Raises UsageError without NumPy."""
        try:
            numpy = importlib.import_module("numpy")
        except ImportError as error:
            raise UsageError("numpy() needs NumPy", why=str(error), hint="install it: pip install numpy") from error
        return numpy.asarray(self.view)

    @property
    def code(self) -> str:
        """The elements' code, as in the module ``array``."""
        return self.layout.code

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        return self.layout.shape

    def fileno(self) -> int:
        """The descriptor to hand to another process (SCM_RIGHTS, pass_fds); see from_fd()."""
        self._opened()
        return self._fd

    def __len__(self) -> int:
        return self.layout.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """An element; a slice is a view of the memory, not a copy."""
        try:
            return self.view[index]
        except (IndexError, TypeError, NotImplementedError) as error:
            self._explain(index, error)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Set an element, or a slice from as many values or a buffer of the same type."""
        view = self.view
        try:
            if isinstance(index, slice):
                view[index] = self._block(value)
            else:
                view[index] = value
        except (IndexError, TypeError, ValueError, NotImplementedError) as error:
            self._explain(index, error, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.view if len(self.shape) == 1 else self.view.tolist())

    def tolist(self) -> list[Any]:
        """A copy, as a list of lists where there are several dimensions."""
        return self.view.tolist()

    def _block(self, value: Any) -> memoryview:
        try:
            block = memoryview(value)
        except TypeError:
            values = tuple(value)
            try:
                packed = struct.pack(f"{len(values)}{self.code}", *values)
            except struct.error as error:
                raise ValueError(str(error)) from None
            return memoryview(packed).cast(self.code)  # type: ignore[call-overload, no-any-return]
        code = shared_types.CODES.get(block.format)
        return block.cast("B").cast(self.code) if code == self.code and block.contiguous else block  # type: ignore[call-overload]

    def _explain(self, index: Any, error: Exception, value: object = None) -> NoReturn:
        if isinstance(error, IndexError):
            raise IndexError(f"index {index!r} is out of range for the shape {self.shape}") from None
        if isinstance(error, NotImplementedError):
            raise TypeError(
                f"{index!r}: an array of {len(self.shape)} dimensions takes {len(self.shape)} integers; "
                "for parts of it use numpy()"
            ) from None
        what = f"index {index!r}" if value is None else f"{value!r:.60} at {index!r}"
        raise type(error)(f"{what} does not fit into an array of {self.code!r}, {self.shape}: {error}") from None

    def _opened(self) -> tuple[mmap.mmap, Layout]:
        if self._memory is None:
            raise UsageError("this shared array is closed")
        return self._memory, self.layout

    def close(self) -> None:
        """Let go of it; its name is forgotten where this process made it. Views of it stay valid. May come again."""
        if self._atomics is not None:
            self._atomics.close()
        self._view = self._memory = self._atomics = None
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._opened()
        return type(self).at, (tuple(shared_segment.address_of(self._fd, self._path)),)

    def __repr__(self) -> str:
        state = "" if self._memory is not None else ", closed"
        return f"<SharedArray {self.code!r} {self.shape}{f', {self.name}' if self.name else ''}{state}>"


def _let_go(fd: int, address: Address | None, name: str, maker: int) -> None:
    os.close(fd)
    if address is not None and (name or address.path) and maker == os.getpid():  # not a child by fork
        shared_names.release(name, address, address.path)
