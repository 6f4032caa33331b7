"""The rules of ``rook doctor`` about apps and the manager. Each is pure: facts in, findings out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rookery._base.units import format_duration, format_size
from rookery.cli.doctor import machine_rules
from rookery.cli.doctor.facts import Facts, Finding
from rookery.logs.names import combined_path

if TYPE_CHECKING:
    from collections.abc import Callable

_FDS_PER_INSTANCE = 4
_FDS_PER_WORKER = 3
"""More of one that shares a port: a socket, a page of numbers, a channel."""
_FDS_OF_OUR_OWN = 64
_MOST_NAMED = 5


def examined(facts: Facts) -> list[Finding]:
    """What all rules find, in their order."""
    return [finding for rule in RULES for finding in rule(facts)]


def manager(facts: Facts) -> list[Finding]:
    """Is one there, of our version, and can it save?"""
    if facts.silence:
        hint = f"look into {facts.home}/manager.log"
        return [Finding("manager", "error", "the manager does not answer", facts.silence, hint)]
    if facts.ping is None:
        if facts.has_apps:
            return [Finding("manager", "note", "no manager runs, though apps are known", hint="rook start all")]
        return [Finding("manager", "ok", "no manager runs, and nothing is to run")]
    found = []
    version = facts.ping.get("version", "")
    if version != facts.version:
        what = f"the manager is of version {version}, this command of {facts.version}"
        found.append(Finding("manager", "warning", what, "options and commands may not fit", "rook upgrade"))
    if facts.ping.get("collector_pid") is None:
        what = "the manager has no log collector"
        found.append(Finding("manager", "warning", what, "apps run, but nobody takes their output", "see manager.log"))
    if facts.warning:
        hint = "make room or mend the disk; it is saved as soon as that is possible"
        found.append(Finding("manager", "error", facts.warning, "after a crash it would be forgotten", hint))
    age = format_duration(facts.ping.get("uptime", 0.0))
    return found or [Finding("manager", "ok", f"it runs for {age}, version {version}")]


def workers(facts: Facts) -> list[Finding]:
    """More instances of an app than CPUs?"""
    counts = _instances(facts)
    found = []
    for name, number in counts.items():
        if number > 1 and number > facts.cpus:
            what = f"{name} has {number} instances, and there are {_number(facts.cpus)} CPUs"
            why = "more of them than CPUs take memory and turns, and do no more work where they compute"
            hint = f'instances = "max" in its rook.toml, unless {name} mostly waits'
            found.append(Finding("workers", "warning", what, why, hint))
    several = {name: number for name, number in counts.items() if number > 1}
    if not found and len(several) > 1 and sum(several.values()) > facts.cpus:
        what = f"{', '.join(several)} have {sum(several.values())} instances together, on {_number(facts.cpus)} CPUs"
        found.append(Finding("workers", "note", what, "when all are busy they share the CPUs"))
    load = sum(detail["row"]["cpu"] or 0.0 for detail in facts.details)
    if load > 90.0 * facts.cpus:
        what = f"the apps use {load:.0f}% of {_number(facts.cpus)} CPUs ({100 * facts.cpus:.0f}%)"
        found.append(Finding("workers", "warning", what, "there is nothing left for more", "see: rook tree"))
    return found or [Finding("workers", "ok", f"{sum(counts.values())} running on {_number(facts.cpus)} CPUs")]


def memory(facts: Facts) -> list[Finding]:
    """Is there room, also for what the limits of the apps allow?"""
    if facts.memory is None:
        return []
    total, available = facts.memory
    sizes = [_memory(detail) for detail in facts.details]
    used = sum(sizes)
    found = []
    if available < total // 20:
        what = f"{format_size(available)} of {format_size(total)} of memory are left"
        why = f"the kernel kills processes when it runs out; the apps use {format_size(used)}"
        found.append(Finding("memory", "error", what, why, "see: rook list, and give apps limits"))
    promised = sum(detail["app"].get("max_memory") or 0 for detail in facts.details)
    if promised > available + used:
        what = f"the apps may grow to {format_size(promised)} together (max_memory)"
        why = f"{format_size(available + used)} are there for them"
        found.append(Finding("memory", "warning", what, why, "lower max_memory or the number of instances"))
    largest = max(sizes, default=0)
    if not found and largest > available:
        what = f"the largest instance takes {format_size(largest)}, and {format_size(available)} are left"
        found.append(Finding("memory", "warning", what, "a second copy of it, as in a reload, would not fit"))
    return found or [Finding("memory", "ok", f"{format_size(available)} are left; the apps use {format_size(used)}")]


def open_files(facts: Facts) -> list[Finding]:
    """Do keeper, manager and collector have room for all that the apps need?"""
    sharing = sum(1 for detail in facts.details if detail["row"].get("bind"))
    need = _FDS_PER_INSTANCE * len(facts.details) + _FDS_PER_WORKER * sharing + _FDS_OF_OUR_OWN
    found = []
    for one in facts.limits:
        if one.used is not None and one.used > one.soft * 9 // 10:
            what = f"the {one.who} (pid {one.pid}) has {one.used} of {one.soft} files open"
            hint = "raise the hard limit of open files (ulimit -Hn, or LimitNOFILE= of its unit), then: rook upgrade"
            found.append(Finding("open-files", "error", what, "soon nothing more can be started", hint))
        elif need > one.soft:
            what = f"{len(facts.details)} instances need about {need} open files, the {one.who} may have {one.soft}"
            hint = "raise the hard limit of open files (ulimit -Hn, or LimitNOFILE= of its unit), then: rook upgrade"
            found.append(Finding("open-files", "warning", what, f"its hard limit is {one.hard}", hint))
    if found or not facts.limits:
        return found
    least = min(one.soft for one in facts.limits)
    return [Finding("open-files", "ok", f"about {need} of {least} are needed")]


def unbuffered(facts: Facts) -> list[Finding]:
    """Does any Python program keep its output back?"""
    if not facts.buffering:
        return [Finding("unbuffered", "ok", "no Python program keeps its output back")] if facts.details else []
    units = list(dict.fromkeys(unit for unit, _ in facts.buffering))
    why = "its lines come late, and are lost when it dies: Python keeps them back where its output is a pipe"
    hint = 'env = { PYTHONUNBUFFERED = "1" } in its rook.toml, or python -u'
    return [Finding("unbuffered", "warning", f"{_some(units)}: Python without PYTHONUNBUFFERED", why, hint)]


def logs(facts: Facts) -> list[Finding]:
    """Can the home be written to, and is there room for the logs to become as large as they may?"""
    if facts.home_problem:
        hint = "make it yours, or choose another one with: rook --home DIR"
        return [Finding("logs", "error", f"{facts.home} cannot be written to", facts.home_problem, hint)]
    if facts.disk is None:
        return []
    total, free = facts.disk
    most = {path: size for detail in facts.details for path, size in _log_sizes(detail).items()}
    more = max(0, sum(most.values()) - facts.log_bytes)
    if free < total // 100:
        what = f"{format_size(free)} of {format_size(total)} are free where the logs and the state are ({facts.home})"
        return [Finding("logs", "error", what, "lines are dropped when it is full", "make room, or: rook flush")]
    if more > free:
        what = f"the logs may grow by {format_size(more)}, and {format_size(free)} are free"
        hint = "lower logs.max_size or logs.keep, or set logs.compress"
        return [Finding("logs", "warning", what, f"{len(most)} files of max_size * (keep + 1)", hint)]
    return [Finding("logs", "ok", f"they may grow by {format_size(more)}, {format_size(free)} are free")]


def orphans(facts: Facts) -> list[Finding]:
    """Processes of apps that no instance owns."""
    running = {str(detail["row"]["id"]): detail for detail in facts.details if detail["row"]["pid"] is not None}
    if facts.ping is None:
        lost = facts.strays
        hint = "rook list makes a manager that takes them over again"
    else:
        lost = [one for one in facts.strays if not _is_owned(one, running.get(one.unit))]
        hint = f"look at them with: ps -fp {','.join(str(one.pid) for one in lost)}, and end them with: kill PID"
    if not lost:
        return [Finding("orphans", "ok", "every process of an app belongs to an instance")]
    names = _some([f"{one.pid} ({one.command[:60]})" for one in lost])
    what = f"{len(lost)} {'process' if len(lost) == 1 else 'processes'} of apps without an owner: {names}"
    return [Finding("orphans", "warning", what, "left behind by copies that have ended", hint)]


def _is_owned(stray: Any, detail: dict[str, Any] | None) -> bool:
    return detail is not None and detail["generation"] == stray.generation


def _memory(detail: dict[str, Any]) -> int:
    """What the tree takes; right after a start the sampler has not told yet."""
    sampled: int | None = detail["row"]["memory"]
    return sum(process["memory"] for process in detail["tree"]) if sampled is None else sampled


def _log_sizes(detail: dict[str, Any]) -> dict[str, int]:
    spec = detail["app"].get("logs") or {}
    if spec.get("via") == "stdout":
        return {}
    most = int(spec.get("max_size", 0)) * (int(spec.get("keep", 0)) + 1)
    paths = [detail["log_out"], detail["log_err"]]
    if spec.get("combined"):
        paths.append(combined_path(os.path.dirname(paths[0]), detail["row"]["name"]))
    return dict.fromkeys(paths, most)


def _instances(facts: Facts) -> dict[str, int]:
    counts: dict[str, int] = {}
    for detail in facts.details:
        name = detail["row"]["name"]
        counts[name] = counts.get(name, 0) + (detail["row"]["pid"] is not None)
    return counts


def _number(number: float) -> str:
    return f"{number:g}"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


RULES: tuple[Callable[[Facts], list[Finding]], ...] = (
    manager,
    workers,
    memory,
    open_files,
    unbuffered,
    logs,
    machine_rules.boot,
    machine_rules.session,
    orphans,
    machine_rules.features,
)
