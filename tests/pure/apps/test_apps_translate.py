"""From an AppSpec to what the layers below know."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from rookery import errors
from rookery.apps.translate import exit_info, last_exit, restart_policy, spawn_spec, stop_plan
from rookery.config.spec import AppSpec, BackoffSpec, LimitSpec, MaxRestarts
from rookery.control.messages import ExitInfo
from rookery.lifecycle.exit import ExitStatus
from rookery.supervise.record import LastExit

NOBODY = pwd.getpwnam("nobody")


def app(**fields):
    return AppSpec(**{"name": "web", "command": ("/bin/x", "-v"), "cwd": "/srv", **fields})


def test_the_plain_one():
    spec = spawn_spec(app(), {"PATH": "/bin"}, 2)
    assert (spec.argv, spec.cwd, spec.session, dict(spec.fds)) == (("/bin/x", "-v"), "/srv", True, {})
    assert (spec.uid, spec.gid, spec.groups, spec.umask, dict(spec.rlimits)) == (None, None, None, 0o022, {})
    assert spec.env == {"PATH": "/bin", "NODE_APP_INSTANCE": "2"}


def test_the_apps_own_variables_win():
    spec = spawn_spec(app(env={"PATH": "/mine", "NODE_APP_INSTANCE": "x"}), {"PATH": "/bin"}, 0)
    assert spec.env == {"PATH": "/mine", "NODE_APP_INSTANCE": "x"}


def test_limits_and_umask():
    limits = LimitSpec(memory=1, open_files=2, processes=3, cpu_time=4, core=0)
    spec = spawn_spec(app(umask=0, limits=limits), {}, 0)
    assert spec.umask == 0
    assert spec.rlimits == {"as": 1, "nofile": 2, "nproc": 3, "cpu": 4, "core": 0}


@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test_another_user(user):
    spec = spawn_spec(app(user=user), {"HOME": "/root", "USER": "root", "LANG": "C"}, 0)
    assert (spec.uid, spec.gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert NOBODY.pw_gid in spec.groups
    assert 0 not in spec.groups
    env = {key: spec.env[key] for key in ("USER", "LOGNAME", "HOME", "SHELL", "LANG")}
    assert env == {
        "USER": "nobody",
        "LOGNAME": "nobody",
        "HOME": NOBODY.pw_dir,
        "SHELL": NOBODY.pw_shell,
        "LANG": "C",
    }


def test_another_user_and_another_group():
    group = grp.getgrgid(1)
    for given in (group.gr_name, "1"):
        spec = spawn_spec(app(user="nobody", group=given), {}, 0)
        assert (spec.uid, spec.gid) == (NOBODY.pw_uid, 1)
        assert 1 in spec.groups


def test_a_group_alone():
    spec = spawn_spec(app(group="1"), {"USER": "me"}, 0)
    assert (spec.uid, spec.gid, spec.groups, spec.env["USER"]) == (None, 1, None, "me")


def test_the_very_user_we_are_needs_no_change():
    spec = spawn_spec(app(user=pwd.getpwuid(os.geteuid()).pw_name), {"HOME": "/h"}, 0)
    assert (spec.uid, spec.gid, spec.groups, spec.env["HOME"]) == (None, None, None, "/h")


@pytest.mark.parametrize(
    "who", [{"user": "nobodyatall"}, {"user": "4000000000"}, {"user": "9" * 40}, {"group": "nogroupatall"}]
)
def test_an_unknown_user_or_group(who):
    with pytest.raises(errors.UserUnknown) as caught:
        spawn_spec(app(**who), {}, 0)
    assert caught.value.argv == ("/bin/x", "-v")
    assert "getent" in caught.value.hint


def test_the_policy():
    policy = restart_policy(
        app(
            restart="on-failure",
            ok_exit_codes=(0, 3),
            restart_delay=1.5,
            backoff=BackoffSpec(base=1.0, factor=3.0, cap=9.0, jitter=False),
            max_restarts=MaxRestarts(count=4, window=5.0),
            min_uptime=6.0,
            stable_after=7.0,
        )
    )
    assert (policy.when, policy.ok_exit_codes, policy.restart_delay) == ("on-failure", {0, 3}, 1.5)
    backoff = policy.backoff
    assert (backoff.base, backoff.factor, backoff.cap, backoff.jitter) == (1.0, 3.0, 9.0, False)
    assert (policy.max_restarts.count, policy.max_restarts.window) == (4, 5.0)
    assert (policy.min_uptime, policy.stable_after) == (6.0, 7.0)
    assert restart_policy(app()).max_restarts is None


def test_the_stop_plan():
    plan = stop_plan(app(stop_signal="SIGINT", graceful_timeout=3.0, stop_scope="leader"))
    assert (plan.signal, plan.graceful_timeout, plan.scope) == (2, 3.0, "leader")
    with pytest.raises(KeyError):
        stop_plan(app(stop_signal="SIGNOTHING"))


@pytest.mark.parametrize("returncode", [0, 3, -9, -15, -31, -40, None])
def test_an_exit_survives_the_state_file(returncode):
    last = LastExit(ExitStatus.from_returncode(returncode), "why", 5.0, 6.0, ("a", "b"))
    again = last_exit(exit_info(last))
    assert again.status.returncode == returncode
    assert str(again.status) == str(last.status)
    assert (again.reason, again.at, again.lifetime, again.stderr) == ("why", 5.0, 6.0, ("a", "b"))


def test_no_exit():
    assert exit_info(None) is None
    assert last_exit(None) is None


def test_an_exit_by_a_signal_that_this_system_does_not_know():
    info = ExitInfo(code=None, signal="SIGEMT", reason="killed", at=1.0)
    assert last_exit(info).status.signal_name == "SIGEMT"
