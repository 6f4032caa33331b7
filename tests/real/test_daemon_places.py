"""Homes of all kinds: long paths, other users, damaged files."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_root
from rookery.testing import wait_until

pytestmark = pytest.mark.real


@pytest.fixture
def deep(rook):
    """A home whose path is longer than a socket's address may be."""
    place = os.path.join(rook.home, "x" * 80, "y" * 80)
    rook.home = rook.environ["ROOKERY_HOME"] = place
    return rook


def test_a_very_long_home(deep):
    deep.start("idle.py", "idle")
    old = deep.kill_manager()
    deep.next_manager(old)
    assert [row["state"] for row in deep.json("list")] == ["running"]
    wait_until(lambda: deep.log("idle") == ["idle"], DEADLINE, "its output")


def test_a_very_long_home_without_a_runtime_folder(deep):
    """Then the sockets are in the home itself, and their paths are too long for an address."""
    os.makedirs(deep.home, 0o700)
    scope = os.urandom(4).hex()
    Path(deep.home, "scope").write_text(scope)
    base = Path("/run" if os.geteuid() == 0 else deep.environ.get("XDG_RUNTIME_DIR", "/nowhere"), "rookery")
    base.mkdir(exist_ok=True)
    (base / scope).write_text("in the way of the folder")
    try:
        deep.start("idle.py", "idle")
        assert deep.run_folder == os.path.join(deep.home, "run")
        deep.next_manager(deep.kill_manager())
        assert [row["state"] for row in deep.json("list")] == ["running"]
        wait_until(lambda: deep.log("idle") == ["idle"], DEADLINE, "its output")
        deep.ok("kill")
        assert not os.path.lexists(os.path.join(deep.home, "run"))
    finally:
        (base / scope).unlink()


@needs_root
def test_an_app_of_another_user(rook, tmp_path):
    nobody = pwd.getpwnam("nobody")
    text = 'command = ["/bin/sh", "-c", "id -u; id -un > /dev/stderr; echo $USER $HOME; exec sleep 1000"]'
    (tmp_path / "rook.toml").write_text(f'[apps.it]\n{text}\nuser = "nobody"\ncwd = "/"\n')
    rook.ok("start", "rook.toml", "--wait", "started")
    wait_until(lambda: len(rook.log("it")) == 2, DEADLINE, "its output")
    assert rook.log("it") == [str(nobody.pw_uid), f"nobody {nobody.pw_dir}"]
    assert rook.log("it", "err") == ["nobody"]
    assert os.stat(f"/proc/{rook.row('it')['pid']}").st_uid == nobody.pw_uid


@needs_root
def test_an_unknown_user_is_told(rook, tmp_path):
    (tmp_path / "rook.toml").write_text('[apps.it]\ncommand = ["/bin/sleep", "9"]\nuser = "nobodyatall"\n')
    ran = rook("start", "rook.toml")
    assert ran.code == 2
    assert "rook.toml:3: apps.it.user: there is no user 'nobodyatall'" in ran.err
    assert rook.ping() is None
    ran = rook("start", "--user", "nobodyatall", "--", "/bin/sleep", "9")  # the manager says so too
    assert ran.code == 2
    assert "nobodyatall" in ran.out + ran.err
    assert rook.rows() == []


def test_a_home_of_someone_else_is_refused(rook):
    os.makedirs(rook.home, 0o700)
    os.chmod(rook.home, 0o777)
    ran = rook("start", rook.programs / "idle.py")
    assert ran.code == 1
    assert "is open to others" in ran.err
    os.chmod(rook.home, 0o700)


def edit_state(rook, text):
    rook.ok("kill")
    for name in ("state.json", "state.json.bak"):
        Path(rook.home, name).write_text(text)


def test_a_state_file_that_cannot_be_read_is_kept_and_told(rook):
    rook.start("idle.py", "idle")
    edit_state(rook, '{"version": 1, "apps": [')
    rook.start("idle.py", "other")
    assert [row["name"] for row in rook.rows()] == ["other"]
    kept = [name for name in os.listdir(rook.home) if "unreadable" in name]
    assert len(kept) == 2
    assert "cannot be read" in rook.manager_log


def test_a_state_of_a_later_version_is_refused_and_stays(rook):
    rook.start("idle.py", "idle")
    text = json.dumps({"version": 99})
    edit_state(rook, text)
    ran = rook("start", rook.programs / "idle.py", "--name", "other")
    assert ran.code == 1
    assert "it is of version 99" in ran.err
    assert "its keeper ended with 78" in ran.err  # at once, not after a time of trying
    assert rook.processes() == {}
    assert Path(rook.home, "state.json").read_text() == text
