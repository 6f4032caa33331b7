"""Converters for what the system defines: users, signals, masks, exit codes, CPUs, environment variables."""

from __future__ import annotations

import signal

from rookery._base.nearest import nearest
from rookery._os import machine
from rookery.config.report import BadValue
from rookery.config.values import expected, text, without_nul

_OWN_VARIABLES = frozenset({"ROOKERY_UNIT"})


def name_or_number(value: object) -> str:
    """A user or group: its name, or its number as text."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if not isinstance(value, str):
        raise expected("a name or a number", value)
    return text(value)


def signal_name(value: object) -> str:
    """A signal's full name from ``"TERM"``, ``"SIGTERM"`` or 15."""
    known = signal.Signals.__members__
    if isinstance(value, str):
        word = value.strip().upper()
        if word.isdecimal():
            value = int(word)
        else:
            full = word if word.startswith("SIG") else f"SIG{word}"
            if full in known:
                return known[full].name
            near = nearest(full, known)
            raise BadValue(f"{value!r} is no signal", hint=f"did you mean {near[0]}?" if near else "see kill -l")
    if isinstance(value, int) and not isinstance(value, bool):
        if value in set(signal.Signals):
            return signal.Signals(value).name
        raise BadValue(f"{value} is no signal's number", hint="see kill -l")
    raise expected("a signal's name such as 'SIGTERM'", value)


def umask(value: object) -> int:
    """A mask from octal text such as ``"022"``, or the number itself (0o022)."""
    if isinstance(value, str):
        try:
            found = int(value, 8)
        except ValueError:
            raise expected("an octal text such as '022'", value) from None
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        raise expected("an octal text such as '022'", value)
    if not 0 <= found <= 0o777:
        raise expected("from '000' to '777'", value)
    return found


def exit_codes(value: object) -> tuple[int, ...]:
    """A list of exit codes."""
    if not isinstance(value, list | tuple):
        raise expected("a list of exit codes such as [0, 143]", value)
    for index, code in enumerate(value):
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
            raise BadValue(expected("an exit code from 0 to 255", code).problem, path=(index,))
    return tuple(dict.fromkeys(value))


def instances(value: object) -> int:
    """How many: a number, ``"max"`` (one per CPU), ``"half"``, or -1 (all CPUs but one); always at least 1."""
    if value == "max":
        return cpus()
    if value == "half":
        return max(1, cpus() // 2)
    if isinstance(value, int) and not isinstance(value, bool):
        if value == -1:
            return max(1, cpus() - 1)
        if 1 <= value <= 10_000:
            return value
        if value == 0:
            raise BadValue("must be 1 or more, not 0", hint='write "max" for one per CPU')
    raise expected("a number from 1 to 10000, 'max', 'half' or -1", value)


def cpus() -> int:
    """How many CPUs this process may use, by affinity and by the quota of its cgroup; at least 1."""
    return max(1, int(machine.cpus()))


def variable_name(name: str) -> str:
    """A name that an environment can hold."""
    if not name or "=" in name or "\0" in name:
        raise BadValue(f"{name!r} cannot be the name of an environment variable")
    if name in _OWN_VARIABLES:
        raise BadValue(f"{name} is set by rookery itself", hint="use another name")
    return name


def variable(value: object) -> str:
    """An environment variable's value: a string, or a number or boolean as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise expected("a string, a number or a boolean", value)
    return without_nul(value)
