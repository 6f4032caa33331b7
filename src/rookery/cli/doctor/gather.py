"""Gathers the facts for ``rook doctor``. Changes nothing and starts nothing."""

from __future__ import annotations

import os
import pwd

from rookery import __version__
from rookery._base.ids import COOKIE, parse_cookie
from rookery._os import exits, features, kernel, machine
from rookery.cli.doctor.facts import Facts, Limits, Stray
from rookery.config.shebang import is_python
from rookery.control import places
from rookery.control.client import Client
from rookery.control.launch import has_apps
from rookery.errors import ControlError, NoManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_OF_SYSTEM = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
_SETTLED = 2.0
"""Seconds: a process younger than this may belong to a copy that has only just begun."""


def gather(home: str, environ: Mapping[str, str]) -> Facts:
    """The facts about this home, its manager and the machine."""
    strays = _strays(home)  # before the manager is asked: whoever comes in between is no stray
    client = Client(home)
    ping: dict[str, Any] | None = None
    details: list[dict[str, Any]] = []
    silence = ""
    try:
        ping = client.request("GET", "/v1/ping")[1]
        details = client.request("GET", "/v1/details")[1]
    except NoManager:
        pass
    except ControlError as error:
        silence = str(error)
    alive = [one for one in strays if kernel.is_alive(one.pid)]
    user = pwd.getpwuid(os.geteuid()).pw_name if _has_entry(os.geteuid()) else str(os.geteuid())
    return Facts(
        home=home,
        home_problem=_home_problem(home),
        ping=ping,
        silence=silence,
        has_apps=has_apps(home),
        details=details,
        warning=client.warning,
        version=__version__,
        cpus=machine.cpus(),
        memory=machine.memory(),
        disk=machine.disk(_nearest(home)),
        log_bytes=_log_bytes(home),
        limits=_limits(ping),
        buffering=_buffering(details),
        strays=alive,
        is_root=os.geteuid() == 0,
        user=user,
        has_systemd=machine.has_systemd(),
        cgroup=None if ping is None else machine.cgroup(ping["keeper_pid"]),
        units=machine.units_that_mention("rook", [*_OF_SYSTEM, *_of_user(environ)]),
        lingers=machine.lingers(user),
        features=_features(),
    )


def _features() -> dict[str, bool]:
    kernel.has_pidfd()
    exits.can_tell()
    kernel.set_subreaper(kernel.is_subreaper())  # asks, and leaves it as it is
    return features.known()


def _strays(home: str) -> list[Stray]:
    try:
        with open(places.scope_file(home), encoding="ascii", errors="replace") as file:
            scope = file.read().strip()
    except OSError:
        return []
    found = []
    for process in kernel.processes():
        cookie = parse_cookie(kernel.environ_value(process.pid, COOKIE) or "")
        if cookie is None or cookie.scope != scope or kernel.age(process.start_time) < _SETTLED:
            continue
        command = " ".join(kernel.command_line(process.pid))
        found.append(Stray(process.pid, command, cookie.unit, cookie.generation))
    return found


def _limits(ping: dict[str, Any] | None) -> list[Limits]:
    found = []
    for who in ("keeper", "manager", "collector"):
        pid = None if ping is None else ping["pid" if who == "manager" else f"{who}_pid"]
        limits = None if pid is None else machine.open_files(pid)
        if pid is not None and limits is not None:
            found.append(Limits(who, pid, *limits, machine.count_open_files(pid)))
    return found


def _buffering(details: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Python processes whose output may stay in their buffers: neither -u nor PYTHONUNBUFFERED."""
    found = []
    for detail in details:
        for process in detail["tree"]:
            words = kernel.command_line(process["pid"])
            if not words or not is_python(words[0]) or has_unbuffered_option(words[1:]):
                continue
            if not kernel.environ_value(process["pid"], "PYTHONUNBUFFERED"):
                found.append((f"{detail['row']['name']}:{detail['row']['index']}", process["pid"]))
    return found


def has_unbuffered_option(words: list[str]) -> bool:
    """Whether Python's own options, which stand before its script, have -u among them."""
    for word in words:
        if not word.startswith("-") or word.startswith("--"):
            return False
        letters = word[1:]
        if "u" in letters.partition("m")[0].partition("c")[0]:
            return True
        if letters[:1] in ("m", "c", ""):
            return False
    return False


def _home_problem(home: str) -> str:
    folder = _nearest(home)
    beyond = os.path.relpath(home, folder).split(os.sep)[0]
    if os.path.lexists(in_the_way := os.path.join(folder, beyond)) and not os.path.isdir(in_the_way):
        return f"{in_the_way} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"no right to write to {folder}"
    if folder == home and os.stat(home).st_uid != os.geteuid():
        return f"it belongs to uid {os.stat(home).st_uid}"
    try:
        read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError as error:
        return error.strerror or str(error)
    return "its file system is read-only" if read_only else ""


def _nearest(path: str) -> str:
    """The path itself, or the nearest folder above it that is there."""
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _log_bytes(home: str) -> int:
    total = 0
    try:
        with os.scandir(places.log_folder(home)) as entries:
            for entry in entries:
                total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass
    return total


def _of_user(environ: Mapping[str, str]) -> list[str]:
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or "/", ".config")
    return [os.path.join(base, "systemd", "user"), "/etc/systemd/user"]


def _has_entry(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
