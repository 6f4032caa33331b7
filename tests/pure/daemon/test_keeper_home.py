"""The keeper's places: lock, scope, run folder."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import tempfile

import pytest

from capabilities import needs_root
from rookery import errors
from rookery.daemon.keeper import home as places


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A runtime folder of this user, as the session's manager makes it."""
    base = tmp_path / "runtime"
    base.mkdir()
    monkeypatch.setattr(places, "_runtime_folder", lambda: str(base))
    return base


@pytest.fixture
def no_runtime(monkeypatch):
    monkeypatch.setattr(places, "_runtime_folder", lambda: "")


def test_one_keeper_per_home(home):
    lock = places.take_lock(home)
    assert lock >= 0
    assert places.take_lock(home) == -1
    assert os.stat(os.path.join(home, "lock")).st_mode & 0o777 == 0o600
    os.close(lock)
    again = places.take_lock(home)
    assert again >= 0
    os.close(again)


def test_the_lock_lives_as_long_as_any_copy_of_it(home):
    lock = places.take_lock(home)
    copy = os.dup(lock)  # as the manager has it
    os.close(lock)
    assert places.take_lock(home) == -1
    os.close(copy)


def test_a_lock_on_a_home_that_was_made_anew_is_not_its_lock(home):
    lock = places.take_lock(home)
    assert places.holds_lock(home, lock)
    os.unlink(os.path.join(home, "lock"))
    assert not places.holds_lock(home, lock)
    other = places.take_lock(home)
    assert not places.holds_lock(home, lock)
    assert places.holds_lock(home, other)
    os.close(lock)
    os.close(other)


def test_a_link_instead_of_a_lock_is_refused(home, tmp_path):
    (tmp_path / "victim").write_text("")
    os.symlink(tmp_path / "victim", os.path.join(home, "lock"))
    with pytest.raises(OSError, match="Too many levels"):
        places.take_lock(home)


def test_the_scope_is_made_once(home):
    scope = places.read_scope(home)
    assert len(scope) == 8
    assert int(scope, 16) >= 0
    assert places.read_scope(home) == scope
    assert os.stat(os.path.join(home, "scope")).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "\n", "../../etc", "0badcaf", "0badcafe0", "0BADCAFE", "\xff\xff"])
def test_a_damaged_scope_is_made_anew(home, text):
    path = os.path.join(home, "scope")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    scope = places.read_scope(home)
    assert len(scope) == 8
    assert places.read_scope(home) == scope != text


def test_the_run_folder_is_in_the_runtime_folder_and_the_home_leads_there(home, runtime):
    run = places.make_run_folder(home, "0badcafe")
    assert run == str(runtime / "rookery" / "0badcafe")
    assert os.stat(run).st_mode & 0o777 == 0o711
    assert os.path.realpath(os.path.join(home, "run")) == run
    assert places.make_run_folder(home, "0badcafe") == run


def test_without_a_runtime_folder_it_is_in_the_home(home, no_runtime):
    run = places.make_run_folder(home, "0badcafe")
    assert run == os.path.join(home, "run")
    assert not os.path.islink(run)
    assert os.stat(run).st_mode & 0o777 == 0o711


def test_a_runtime_folder_that_cannot_be_used_is_done_without(home, runtime):
    (runtime / "rookery").write_text("in the way")
    assert places.make_run_folder(home, "0badcafe") == os.path.join(home, "run")


def test_a_folder_of_before_gives_way_to_the_link_and_the_other_way_round(home, runtime, monkeypatch):
    places.make_run_folder(home, "0badcafe")
    monkeypatch.setattr(places, "_runtime_folder", lambda: "")
    run = places.make_run_folder(home, "0badcafe")
    assert not os.path.islink(run)
    open(os.path.join(run, "keeper.sock"), "w").close()  # a keeper that was killed
    monkeypatch.setattr(places, "_runtime_folder", lambda: str(runtime))
    run = places.make_run_folder(home, "0badcafe")
    assert run == str(runtime / "rookery" / "0badcafe")
    assert os.path.realpath(os.path.join(home, "run")) == run


def test_a_link_in_the_runtime_folder_is_refused(home, runtime, tmp_path):
    (runtime / "rookery").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", runtime / "rookery" / "0badcafe")
    with pytest.raises(errors.RookeryError, match="not a folder of ours"):
        places.make_run_folder(home, "0badcafe")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_dangling_link_in_the_runtime_folder_is_done_without(home, runtime, tmp_path):
    (runtime / "rookery").mkdir()
    os.symlink(tmp_path / "nowhere", runtime / "rookery" / "0badcafe")
    assert places.make_run_folder(home, "0badcafe") == os.path.join(home, "run")
    assert not (tmp_path / "nowhere").exists()


@needs_root
def test_a_folder_of_someone_else_is_refused(home, runtime):
    (runtime / "rookery" / "0badcafe").mkdir(parents=True)
    os.chown(runtime / "rookery" / "0badcafe", 12345, 12345)
    with pytest.raises(errors.RookeryError, match="not a folder of ours"):
        places.make_run_folder(home, "0badcafe")


def test_nothing_is_left_of_the_run_folder(home, runtime):
    run = places.make_run_folder(home, "0badcafe")
    for name in ("keeper.sock", "control.sock"):
        open(os.path.join(run, name), "w").close()
    os.mkfifo(os.path.join(run, "4.out"))  # the manager was killed before it took the name away
    places.remove_run_folder(home, run)
    assert not os.path.lexists(run)
    assert not os.path.lexists(os.path.join(home, "run"))
    places.remove_run_folder(home, run)


@needs_root
def test_another_users_runtime_folder_is_the_one_of_the_environment(monkeypatch):
    nobody = pwd.getpwnam("nobody").pw_uid
    base = tempfile.mkdtemp(prefix="rook-")
    os.chown(base, nobody, nobody)
    monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    assert places._runtime_folder() == "/run"
    os.seteuid(nobody)
    try:
        assert places._runtime_folder() == base
        assert places.make_run_folder(base, "0badcafe") == f"{base}/rookery/0badcafe"
        monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
        assert places._runtime_folder() == ""
    finally:
        os.seteuid(0)
        shutil.rmtree(base)


def test_the_lock_is_an_flock_that_others_can_wait_for(home):
    lock = places.take_lock(home)
    with open(os.path.join(home, "lock")) as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(lock)
