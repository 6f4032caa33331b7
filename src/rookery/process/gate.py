"""The gates: small programs that run between fork and exec, for the few things that must happen there.

Without preexec_fn (which forces a slow fork and is unsafe with threads) only a program in between can set limits on
exactly the new process, or put descriptors at given numbers without touching those numbers in this process.
/bin/sh costs half a millisecond, the interpreter ten (dash knows no descriptor above 9); both only when asked for.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELL = "/bin/sh"
# name -> (flag of ulimit, unit of the flag in bytes or seconds or pieces)
_FLAGS = {
    "as": ("-v", 1024),
    "nofile": ("-n", 1),
    "cpu": ("-t", 1),
    "core": ("-c", 512),
    "nproc": ("-p", 1),
}


def through_gate(argv: Sequence[str], rlimits: Mapping[str, int]) -> list[str]:
    """The command that sets the limits and then becomes argv. Raises ValueError for an unknown limit."""
    lines = []
    for name, value in sorted(rlimits.items()):
        if name not in _FLAGS:
            raise ValueError(f"unknown limit {name!r}; known are {', '.join(sorted(_FLAGS))}")
        flag, unit = _FLAGS[name]
        # bash (as /bin/sh) calls the number of processes -u, dash -p.
        both = f"ulimit -u {value} 2>/dev/null || " if name == "nproc" else ""
        lines.append(f"{both}ulimit {flag} {-(-value // unit)} || exit 126")
    return [SHELL, "-c", "; ".join([*lines, 'exec "$@"']), SHELL, *argv]


_PLACE = """
import os, sys
pairs = [tuple(map(int, pair.split(":"))) for pair in sys.argv[1].split(",")]
for fd, number in pairs:
    os.dup2(fd, number)
    os.close(fd)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def placing_fds(argv: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """The command that moves each (descriptor, number) and then becomes argv. No descriptor may be a number's."""
    moves = ",".join(f"{fd}:{number}" for fd, number in pairs)
    return [sys.executable, "-I", "-S", "-c", _PLACE, moves, *argv]
