"""A worker's beginning and end, as if it were an interpreter of its own and not the copy of one."""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_FLUSH_FAILED = 120


def forget_the_servers() -> None:
    """Let go of what the modules of the server want done at its end: it is not ours to do.

    Each worker would remove the folder that all of them use. Random numbers begin anew.
    """
    atexit._clear()  # noqa: SLF001 - there is no other way
    weakref = sys.modules.get("weakref")
    if weakref is not None:
        for one in list(getattr(weakref.finalize, "_registry", ())):
            one.atexit = False
        # Its own call at the end went with the others: so the next one registers it again.
        weakref.finalize._registered_with_atexit = False  # noqa: SLF001
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()  # noqa: SLF001 - as multiprocessing does in its own children
        util._run_after_forkers()  # noqa: SLF001
        atexit.register(util._exit_function)  # noqa: SLF001
    logging = sys.modules.get("logging")
    if logging is not None:
        atexit.register(logging.shutdown)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None and hasattr(numbers, "seed"):
        numbers.seed()  # random and ssl see to that themselves


def run(work: Callable[[], object]) -> NoReturn:
    """Do it, then end this process as an interpreter ends: threads, atexit, output; with the code that it has earned.

    The frames below belong to the server: nothing may return there.
    """
    code = 1
    try:
        code = _code_of(work)
        code = _finish(code)
    finally:
        os._exit(code)


def _code_of(work: Callable[[], object]) -> int:
    try:
        work()
    except SystemExit as ended:
        return _exit_code(ended.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _exit_code(wanted: Any) -> int:
    if wanted is None:
        return 0
    if isinstance(wanted, int):
        return wanted & 0xFF
    print(wanted, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _finish(code: int) -> int:
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()  # noqa: SLF001 - waits for threads, as at the end of a program
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or _FLUSH_FAILED
    return code
