"""Shared memory mapped without a descriptor: the module mmap keeps one for each mapping, and a process has few."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref

_libc = ctypes.CDLL(None, use_errno=True)
_map = _libc.mmap
_map.restype = ctypes.c_void_p
_map.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_unmap = _libc.munmap
_unmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_advise = _libc.madvise
_advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_FAILED = ctypes.c_void_p(-1).value
_REMOVE: int | None = getattr(mmap, "MADV_REMOVE", None)


class Mapping:
    """The first ``size`` bytes behind a descriptor, which may be closed afterwards. Unmapped with the last reference
    to this object: what looks into the memory must hold one. Raises OSError.
    """

    __slots__ = ("__weakref__", "address", "size")

    def __init__(self, fd: int, size: int) -> None:
        address = _map(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
        if address is None or address == _FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self.address: int = address
        self.size = size
        weakref.finalize(self, _unmap, address, size).atexit = False

    def array(self, size: int) -> ctypes.Array[ctypes.c_char]:
        """A look at its beginning, which has weak references, unlike a memoryview. Does not hold the mapping."""
        return (ctypes.c_char * size).from_address(self.address)

    def discard(self) -> None:
        """Free the memory itself; where it is mapped it is zero from now on. Does nothing where that cannot be done."""
        if _REMOVE is not None:
            _advise(self.address, self.size, _REMOVE)
