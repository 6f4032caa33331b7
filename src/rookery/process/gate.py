"""The gates: small programs that run between fork and exec, for the few things that must happen there.

Without preexec_fn (which forces a slow fork and is unsafe with threads) only a program in between can set limits on
exactly the new process, or put descriptors at given numbers without touching those numbers in this process.
/bin/sh costs half a millisecond, the interpreter ten (dash knows no descriptor above 9); both only when asked for.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELL = "/bin/sh"
UNLIMITED = -1
"""As the module resource has it."""
_SHELL_ADDS = ("OLDPWD", "PWD", "SHLVL")
# name -> (flag of ulimit, unit of the flag in bytes or seconds or pieces)
_FLAGS = {
    "as": ("-v", 1024),
    "nofile": ("-n", 1),
    "cpu": ("-t", 1),
    "core": ("-c", 512),
    "nproc": ("-p", 1),
}


def through_gate(
    argv: Sequence[str], rlimits: Mapping[str, int], *, env: Mapping[str, str], pty: str | None = None
) -> list[str]:
    """The command that sets the limits and then becomes argv. Raises ValueError for one that is unknown or no number.

    env: what it is started with; shells add to that, and the addition is taken away again. pty: a terminal that
    becomes the session's own (the first one that its leader opens does) and the standard descriptors.
    """
    for name, value in dict[str, object](rlimits).items():
        if not isinstance(value, int) or value < UNLIMITED:
            raise ValueError(f"the limit {name!r} is a number from 0 on, or -1 for none, not {value!r}")
    lines = [] if pty is None else [f"exec 0<>'{pty}' 1>&0 2>&0 || exit 126"]
    for name, value in sorted(rlimits.items()):
        if name not in _FLAGS:
            raise ValueError(f"unknown limit {name!r}; known are {', '.join(sorted(_FLAGS))}")
        flag, unit = _FLAGS[name]
        # bash (as /bin/sh) calls the number of processes -u, dash -p.
        amount = "unlimited" if value == UNLIMITED else str(-(-value // unit))
        both = f"ulimit -u {amount} 2>/dev/null || " if name == "nproc" else ""
        lines.append(f"{both}ulimit {flag} {amount} || exit 126")
    added = [name for name in _SHELL_ADDS if name not in env]
    if added:
        lines.append(f"unset {' '.join(added)}")
    return [SHELL, "-c", "; ".join([*lines, 'exec "$@"']), SHELL, *argv]


# The interpreter ignores two signals and, in the C locale, sets LC_CTYPE; the program is to find both as they were.
_PLACE = """
import os, sys, _signal
pairs = [tuple(map(int, pair.split(":"))) for pair in sys.argv[1].split(",")]
for fd, number in pairs:
    os.dup2(fd, number)
    os.close(fd)
for name in ("SIGPIPE", "SIGXFSZ"):
    _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
os.environ.pop("LC_CTYPE", None)
if sys.argv[2]:
    os.environ["LC_CTYPE"] = sys.argv[2][1:]
os.execvp(sys.argv[3], sys.argv[3:])
"""


def placing_fds(argv: Sequence[str], pairs: Sequence[tuple[int, int]], *, env: Mapping[str, str]) -> list[str]:
    """The command that moves each (descriptor, number) and then becomes argv. No descriptor may be a number's.

    env: what it is started with.
    """
    moves = ",".join(f"{fd}:{number}" for fd, number in pairs)
    locale = f"={env['LC_CTYPE']}" if "LC_CTYPE" in env else ""
    return [sys.executable, "-I", "-S", "-c", _PLACE, moves, locale, *argv]


def telling_pid(argv: Sequence[str]) -> list[str]:
    """The command that sets LISTEN_PID to the pid it has, and then becomes argv: who takes sockets looks for that.

    What shells add to the environment is taken away where the interpreter that started us has not got it either.
    """
    added = [name for name in _SHELL_ADDS if name not in os.environ]
    lines = ["export LISTEN_PID=$$", *([f"unset {' '.join(added)}"] if added else []), 'exec "$@"']
    return [SHELL, "-c", "; ".join(lines), SHELL, *argv]
