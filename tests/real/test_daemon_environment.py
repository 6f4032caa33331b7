"""What an app is given, and what not."""

from __future__ import annotations

import os
import resource

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]


def said(rook, name, index=0):
    wait_until(lambda: len(rook.log(name, index=index)) == 4, DEADLINE, "four lines")
    return dict(line.split(" ", 1) for line in rook.log(name, index=index))


def test_an_app_gets_the_usual_few_variables_and_no_descriptor_of_ours(rook):
    rook.environ |= {"SECRET_OF_THE_CALLER": "x", "NOTIFY_SOCKET": "/x", "ROOKERY_UNIT": "0:0:0", "LC_ALL": "C"}
    rook.ok("start", rook.programs / "env.sh", "-i", "2", "--wait", "started", "--set-env", "MINE=1")
    first, second = said(rook, "env"), said(rook, "env", 1)
    assert (first["instance"], second["instance"]) == ("0", "1")
    assert set(first["names"].split()) - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "HOME",
        "LC_ALL",
        "MINE",
        "NODE_APP_INSTANCE",
        "PATH",
        "ROOKERY_UNIT",
    }
    pid = rook.rows()[0]["pid"]
    wait_until(lambda: kernel.command_line(pid)[0] == "sleep", DEADLINE, "the shell to become sleep")
    assert set(os.listdir(f"/proc/{pid}/fd")) == {"0", "1", "2"}
    assert first["umask"] == "0022"
    assert first["files"] == str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_limits(rook, tmp_path):
    (tmp_path / "rook.toml").write_text(
        f'[apps.env]\nscript = "{rook.programs}/env.sh"\numask = "077"\nlimits = {{ open_files = 99 }}\n'
    )
    rook.ok("start", "rook.toml", "--wait", "started")
    assert (said(rook, "env")["files"], said(rook, "env")["umask"]) == ("99", "0077")


def test_no_app_inherits_ignored_signals(rook):
    """The keeper outlives a hang-up, and whoever starts it may run under nohup; neither is the app's business."""
    status = ("/bin/grep", "SigIgn", "/proc/self/status")
    rook.ok("start", "--name", "ignores", "--restart", "never", "--wait", "started", "--", *status)
    wait_until(lambda: rook.log("ignores"), DEADLINE, "its line")
    ignored = int(rook.log("ignores")[0].split()[1], 16)
    assert [number for number in (1, 2, 3, 13, 15) if ignored & 1 << number - 1] == []
