"""From an AppSpec to what the layers below know, and from their words to the API's."""

from __future__ import annotations

import grp
import os
import pwd
import signal
from typing import TYPE_CHECKING

import msgspec

from rookery import errors
from rookery.cluster.settings import POLICY
from rookery.config.spec import AppSpec
from rookery.control.messages import ExitInfo
from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.restart import Backoff, MaxRestarts, RestartPolicy
from rookery.lifecycle.stop import StopPlan
from rookery.process.spec import SpawnSpec
from rookery.supervise.record import LastExit

if TYPE_CHECKING:
    from collections.abc import Mapping


_BLANK = AppSpec(name="", command=(), cwd="")
_LIMITS = {"memory": "as", "open_files": "nofile", "processes": "nproc", "cpu_time": "cpu", "core": "core"}


def restart_policy(spec: AppSpec) -> RestartPolicy:
    """The app's restart policy."""
    backoff, stable_after = spec.backoff, spec.stable_after
    if spec.bind and (backoff, stable_after) == (_BLANK.backoff, _BLANK.stable_after):
        # A worker that served is missed at once, by a share of all requests.
        backoff, stable_after = msgspec.structs.replace(backoff, cap=POLICY.backoff.cap), POLICY.stable_after
    return RestartPolicy(
        when=spec.restart,
        ok_exit_codes=frozenset(spec.ok_exit_codes),
        backoff=Backoff(base=backoff.base, factor=backoff.factor, cap=backoff.cap, jitter=backoff.jitter),
        restart_delay=spec.restart_delay,
        max_restarts=None
        if spec.max_restarts is None
        else MaxRestarts(count=spec.max_restarts.count, window=spec.max_restarts.window),
        min_uptime=spec.min_uptime,
        stable_after=stable_after,
    )


def stop_plan(spec: AppSpec) -> StopPlan:
    """The app's stop plan. A worker of a clustered app drains first; its children serve too, so only it is told."""
    number = signal.Signals[spec.stop_signal].value
    if spec.bind:
        return StopPlan(signal=number, graceful_timeout=spec.drain_timeout + spec.graceful_timeout, scope="leader")
    return StopPlan(signal=number, graceful_timeout=spec.graceful_timeout, scope=spec.stop_scope)


def spawn_spec(spec: AppSpec, base_env: Mapping[str, str], index: int) -> SpawnSpec:
    """One instance's process, without its descriptors. Raises UserUnknown."""
    uid, gid, groups, identity = _user(spec)
    limits = {name: value for field, name in _LIMITS.items() if (value := getattr(spec.limits, field)) is not None}
    return SpawnSpec(
        argv=spec.command,
        env={**base_env, **identity, "NODE_APP_INSTANCE": str(index), **spec.env},
        cwd=spec.cwd,
        uid=uid,
        gid=gid,
        groups=groups,
        umask=spec.umask,
        rlimits=limits,
    )


def _user(spec: AppSpec) -> tuple[int | None, int | None, tuple[int, ...] | None, dict[str, str]]:
    if spec.user is None and spec.group is None:
        return None, None, None, {}
    try:
        gid = None if spec.group is None else _group(spec.group)
        if spec.user is None:
            return None, gid, None, {}
        entry = pwd.getpwuid(int(spec.user)) if spec.user.isdecimal() else pwd.getpwnam(spec.user)
    except KeyError:
        who = " or ".join(f"{kind} {name!r}" for kind, name in (("user", spec.user), ("group", spec.group)) if name)
        raise errors.UserUnknown(
            f"there is no {who}", argv=spec.command, cwd=spec.cwd, hint="see: getent passwd, getent group"
        ) from None
    if entry.pw_uid == os.geteuid() and gid is None:
        return None, None, None, {}
    gid = entry.pw_gid if gid is None else gid
    groups = tuple(os.getgrouplist(entry.pw_name, gid))
    identity = {"USER": entry.pw_name, "LOGNAME": entry.pw_name, "HOME": entry.pw_dir, "SHELL": entry.pw_shell}
    return entry.pw_uid, gid, groups, identity


def _group(name: str) -> int:
    return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid


def exit_info(last: LastExit | None, repeats: int = 1) -> ExitInfo | None:
    """A last exit in the API's words; repeats: how many alike there were in a row."""
    if last is None:
        return None
    return ExitInfo(
        code=last.status.code,
        signal=last.status.signal_name or (None if last.status.signal is None else str(last.status.signal)),
        reason=last.reason,
        at=last.at,
        lifetime=last.lifetime,
        stderr=last.stderr,
        repeats=repeats,
    )


def last_exit(info: ExitInfo | None) -> LastExit | None:
    """A last exit from the state file."""
    if info is None:
        return None
    number = None if info.signal is None else _signal_number(info.signal)
    status = ExitStatus(code=info.code, signal=number, signal_name=info.signal)
    return LastExit(status, info.reason, info.at, info.lifetime, info.stderr)


def _signal_number(name: str) -> int:
    """15 for ``SIGTERM``, 40 for ``signal 40`` (one without a name); 0 for a name of another system."""
    bare = name.removeprefix("signal ")
    if bare.isdecimal():
        return int(bare)
    return signal.Signals[name].value if name in signal.Signals.__members__ else 0
