from __future__ import annotations

import os
import socket

import pytest

from rookery._base import addresses
from rookery.control import places
from rookery.errors import RookeryError


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (1000, {"ROOKERY_HOME": "/srv/r", "XDG_STATE_HOME": "/x", "HOME": "/home/u"}, "/srv/r"),
        (0, {"ROOKERY_HOME": "/srv/r"}, "/srv/r"),
        (0, {"XDG_STATE_HOME": "/x", "HOME": "/root"}, "/var/lib/rookery"),
        (1000, {"XDG_STATE_HOME": "/x", "HOME": "/home/u"}, "/x/rookery"),
        (1000, {"XDG_STATE_HOME": "not/absolute", "HOME": "/home/u"}, "/home/u/.local/state/rookery"),
        (1000, {"ROOKERY_HOME": "", "XDG_STATE_HOME": "", "HOME": "/home/u"}, "/home/u/.local/state/rookery"),
    ],
)
def test_home(monkeypatch, uid, environ, expected):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert places.home(environ) == expected


def test_a_relative_home_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert places.home({"ROOKERY_HOME": "here"}) == str(tmp_path / "here")


@pytest.mark.parametrize("length", [20, 107, 108, 400])
def test_a_socket_is_reached_however_long_its_path_is(tmp_path, length):
    folder = str(tmp_path)
    while len(folder) + 13 < length:
        folder = os.path.join(folder, "d" * max(1, min(100, length - len(folder) - 14)))
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "control.sock")
    before = set(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with places.connectable(path) as address:
            assert len(address) <= places.LONGEST_ADDRESS
            listener.bind(address)
        listener.listen(1)
        with places.connectable(path) as address:
            caller.connect(address)
    assert os.path.exists(path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_folder_that_is_missing(tmp_path):
    long = os.path.join(str(tmp_path), "d" * 120, "control.sock")
    with pytest.raises(FileNotFoundError), places.connectable(long):
        pass


def test_without_handles_a_long_path_is_an_error_with_a_hint(monkeypatch):
    monkeypatch.setattr(addresses, "_WITH_HANDLE", False)
    with pytest.raises(RookeryError, match="too long") as caught, places.connectable("/" + "d" * 120):
        pass
    assert "--home" in caught.value.hint


def test_a_new_home_is_private(tmp_path):
    home = str(tmp_path / "a" / "b")
    places.ensure_home(home)
    places.ensure_home(home)
    assert os.stat(home).st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mode", "accepted"), [(0o700, True), (0o755, True), (0o770, False), (0o702, False)])
def test_a_home_that_others_may_write_to_is_refused(tmp_path, mode, accepted):
    home = str(tmp_path / "home")
    os.mkdir(home)
    os.chmod(home, mode)
    if accepted:
        places.ensure_home(home)
        return
    with pytest.raises(RookeryError, match="open to others") as caught:
        places.ensure_home(home)
    assert f"{mode:04o}" in caught.value.why
    assert "chmod 700" in caught.value.hint


def test_the_home_of_someone_else_is_refused(monkeypatch, tmp_path):
    places.ensure_home(str(tmp_path / "home"))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(RookeryError, match="belongs to someone else"):
        places.ensure_home(str(tmp_path / "home"))


def test_a_home_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RookeryError, match="could not make"):
        places.ensure_home(str(tmp_path / "file" / "home"))
