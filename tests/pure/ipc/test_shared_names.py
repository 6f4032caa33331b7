"""Names of shared arrays: whose they are, and what becomes of those that nobody keeps."""

from __future__ import annotations

import os

import pytest

from rookery._os import kernel
from rookery.errors import SharedMemoryError
from rookery.ipc import shared_names

US = os.getpid(), kernel.start_time(os.getpid())
ADDRESS = [*US, 5, 1, 2, ""]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    folder = str(tmp_path / "names")
    monkeypatch.setattr(shared_names, "folder", lambda: folder)
    return folder


def test_a_name_comes_and_goes(place):
    shared_names.claim("one", ADDRESS)
    assert shared_names.find("one") == ADDRESS
    shared_names.release("one", [*US, 6, 1, 2, ""], "")  # another one's
    assert shared_names.find("one") == ADDRESS
    shared_names.release("one", ADDRESS, "")
    assert not os.path.exists(place)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(f"[{US[0]}, {US[1] + 1}, 5, 1, 2, {chr(34) * 2}]", id="of our pid before us"),
        *("", "[1]", "{}", "half a", '["a",1,1,1,1,""]'),
    ],
)
def test_what_the_dead_left_is_swept_away(place, left):
    shared_names.claim("ours", ADDRESS)
    with open(os.path.join(place, "one"), "w") as file:
        file.write(left)
    with pytest.raises(SharedMemoryError, match="no shared array named one"):
        shared_names.find("one")
    assert os.listdir(place) == ["ours"]
    shared_names.claim("one", ADDRESS)


def test_data_of_the_dead_is_swept_away_too(place):
    path = shared_names.data_path()
    dead = os.path.join(place, f".data-{US[0]}-{US[1] + 1}-00")
    with open(dead, "w"):
        pass
    shared_names.claim("one", ADDRESS)
    assert os.path.exists(path)
    assert not os.path.exists(dead)


def test_a_finaliser_in_the_middle_of_a_call(place):
    with shared_names._locked():
        shared_names.claim("one", ADDRESS)
        shared_names.release("one", ADDRESS, "")


@pytest.mark.parametrize("wrong", ["open", "link", "file"])
def test_a_folder_that_is_not_ours(place, wrong, tmp_path):
    if wrong == "open":
        os.mkdir(place)
        os.chmod(place, 0o777)
    elif wrong == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        os.symlink(tmp_path / "other", place)
    else:
        with open(place, "w"):
            pass
    with pytest.raises(SharedMemoryError, match="no folder of ours"):
        shared_names.claim("one", ADDRESS)
