"""Sleeping until a word in shared memory changes: futex(2), which Python does not offer."""

from __future__ import annotations

import errno
import functools
import os

from rookery._os import features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    class Calls(NamedTuple):
        """word(buffer, offset) gives what wait and wake take, and keeps the buffer alive."""

        word: Callable[[Any, int], Any]
        wait: Callable[[Any, int, float], None]
        wake: Callable[[Any], int]
else:
    from collections import namedtuple

    Calls = namedtuple("Calls", "word wait wake")  # noqa: PYI024

_WAIT, _WAKE = 0, 1  # without FUTEX_PRIVATE_FLAG: between processes
_EVERYBODY = 0x7FFFFFFF
_NUMBERS = {  # of the system call, by machine and bytes of a pointer
    ("x86_64", 8): 202,
    ("aarch64", 8): 98,
    ("riscv64", 8): 98,
    ("loongarch64", 8): 98,
    ("ppc64le", 8): 221,
    ("s390x", 8): 238,
}


def available() -> bool:
    """Whether this system has it, and this machine's number of the call is known."""
    return features.has("futex", _probe)


@functools.cache
def calls() -> Calls:
    """The functions. Raises OSError where there are none.

    wait(word, expected, seconds) returns when somebody woke it, the word is not what was expected, the time is over,
    a signal came, or for no reason: look again. wake(word) wakes all and gives their number.
    """
    try:
        import ctypes  # noqa: PLC0415 - 6 ms, paid only by those who need it

        number = _NUMBERS[os.uname().machine, ctypes.sizeof(ctypes.c_void_p)]
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (ImportError, AttributeError, KeyError) as error:
        raise OSError(errno.ENOSYS, f"no futex here: {error}") from error
    call.restype = ctypes.c_long
    call.argtypes = (
        ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32
    )  # fmt: skip
    timespec = ctypes.c_long * 2

    def wait(word: Any, expected: int, seconds: float) -> None:
        limit = timespec(int(seconds), int(seconds % 1 * 1e9))
        if call(number, word, _WAIT, expected, ctypes.byref(limit), None, 0) < 0:
            wrong = ctypes.get_errno()
            if wrong not in (errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT):
                raise OSError(wrong, os.strerror(wrong))

    def wake(word: Any) -> int:
        woken: int = call(number, word, _WAKE, _EVERYBODY, None, None, 0)
        if woken < 0:
            wrong = ctypes.get_errno()
            raise OSError(wrong, os.strerror(wrong))
        return woken

    return Calls(lambda buffer, offset: ctypes.byref(ctypes.c_uint32.from_buffer(buffer, offset)), wait, wake)


def _probe() -> bool:
    call = calls()
    word = call.word(bytearray(b"\1\0\0\0"), 0)
    call.wait(word, 0, 0.0)
    return call.wake(word) == 0
