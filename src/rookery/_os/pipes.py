"""Looking into a pipe without emptying it: tee(2), which Python does not offer."""

from __future__ import annotations

import os

from rookery._os import features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NONBLOCK = 2


def tee_call() -> Callable[[int, int, int], int] | None:
    """A function (pipe, other pipe, count) that copies without taking, or None where there is none (macOS).

    It returns how many bytes it copied, 0 where there is nothing to copy or no room; it raises OSError.
    """
    call = _load()
    if call is not None and features.has("tee", lambda: _works(call)):
        return call
    return None


def _load() -> Callable[[int, int, int], int] | None:
    try:
        import ctypes  # noqa: PLC0415 - 6 ms, paid only by those who need it

        function = ctypes.CDLL(None, use_errno=True).tee
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
    function.restype = ctypes.c_ssize_t
    get_errno = ctypes.get_errno

    def tee(source: int, target: int, count: int) -> int:
        copied: int = function(source, target, count, _NONBLOCK)
        if copied >= 0:
            return copied
        error = OSError(get_errno(), os.strerror(get_errno()))
        if isinstance(error, BlockingIOError | InterruptedError):
            return 0
        raise error

    return tee


def _works(call: Callable[[int, int, int], int]) -> bool:
    if not hasattr(os, "splice"):
        return False
    ends = [*os.pipe(), *os.pipe()]
    try:
        os.write(ends[1], b".")
        return call(ends[0], ends[3], 1) == 1
    finally:
        for end in ends:
            os.close(end)
