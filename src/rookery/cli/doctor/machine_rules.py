"""The rules of ``rook doctor`` about the machine: boot, login session, kernel. Each is pure."""

from __future__ import annotations

import re

from rookery.cli.doctor.facts import Facts, Finding

_FALLBACKS = {
    "pidfd": "exits are noticed by a waiting thread, and a start time is compared before each signal",
    "pidfd_info": "after the death of the keeper an app's exit code is unknown until its next start",
    "subreaper": "what an app leaves behind comes to init, and is found by its mark in the environment only",
}
_SESSION = re.compile(r"/session-[^/]*\.scope(/|$)")
_SERVICE = re.compile(r"/([^/]+\.(?:service|scope))(?:/|$)")


def boot(facts: Facts) -> list[Finding]:
    """Do the apps come back with the machine?"""
    if not facts.has_systemd or not (facts.ping or facts.has_apps):
        return []
    if facts.units:
        return [Finding("boot", "ok", f"started at boot by {facts.units[0]}")]
    where = "/etc/systemd/system" if facts.is_root else "~/.config/systemd/user"
    why = "no systemd unit runs rook, so the apps stay down after a reboot"
    hint = f"write one in {where}, with KillMode=process, that runs: rook start all"
    return [Finding("boot", "warning", "nothing starts the apps when the machine starts", why, hint)]


def session(facts: Facts) -> list[Finding]:
    """Would the manager die with a login or with a service of somebody else's?"""
    if not facts.has_systemd or facts.ping is None or facts.cgroup is None:
        return []
    found = []
    unit = _SERVICE.findall(facts.cgroup)
    ours = {path.rpartition("/")[2] for path in facts.units}
    if _SESSION.search(facts.cgroup):
        why = "it lives in the cgroup of a login session, and may be killed with it (KillUserProcesses)"
        hint = "rook kill, then start it from a systemd unit, or with: systemd-run --user --scope rook start all"
        found.append(Finding("session", "warning", "the manager may end when you log out", why, hint))
    elif unit and unit[-1] not in ours and not re.match(r"user@\d+\.service$|init\.scope$", unit[-1]):
        why = f"it lives in the cgroup of {unit[-1]}, and ends when that stops"
        hint = "rook kill, then start it from a systemd unit of its own"
        found.append(Finding("session", "warning", f"the manager depends on {unit[-1]}", why, hint))
    if not facts.is_root and not facts.lingers and facts.cgroup.startswith("/user.slice/"):
        why = f"lingering is off: without a login the services of {facts.user} are stopped"
        hint = f"loginctl enable-linger {facts.user}"
        found.append(Finding("session", "warning", "the manager may end with your last login", why, hint))
    return found or [Finding("session", "ok", "the manager depends on no login")]


def features(facts: Facts) -> list[Finding]:
    """Which kernel features are missing, and what is done in their place."""
    missing = [name for name, is_there in facts.features.items() if not is_there]
    found = [
        Finding("kernel", "note", f"this kernel has no {name}", _FALLBACKS.get(name, "a fallback is in use"))
        for name in missing
    ]
    if not found and facts.features:
        return [Finding("kernel", "ok", f"it has {', '.join(facts.features)}")]
    return found
