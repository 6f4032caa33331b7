from __future__ import annotations

import os

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "project"
    place.mkdir()
    (place / "app.py").write_text("")
    monkeypatch.chdir(place)
    return place


def test_it_writes_a_file_that_check_accepts(rook, folder):
    ran = rook("init")
    assert (ran.code, ran.out) == (0, "wrote rook.toml\n")
    assert "app: found by app.py" in ran.err
    assert rook("check").code == 0
    assert (folder / "rook.toml").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_it_never_overwrites(rook, folder):
    (folder / "rook.toml").write_text("mine")
    ran = rook("init")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "rook: rook.toml is there already",
        "hint: to write it anew: rook init --force, to look: rook init --print",
    ]
    assert (folder / "rook.toml").read_text() == "mine"


def test_not_even_through_a_link_to_nowhere(rook, folder):
    (folder / "rook.toml").symlink_to(folder / "elsewhere")
    assert rook("init").code == 1
    assert not (folder / "elsewhere").exists()


def test_nor_a_file_that_comes_in_the_last_moment(rook, folder, monkeypatch):
    (folder / "rook.toml").write_text("mine")
    with monkeypatch.context() as blind:
        blind.setattr(os.path, "lexists", lambda _: False)
        assert rook("init").code == 1
    assert (folder / "rook.toml").read_text() == "mine"


def test_force(rook, folder):
    (folder / "rook.toml").write_text("mine")
    (folder / "rook.toml").chmod(0o640)
    assert rook("init", "--force").code == 0
    assert "[apps.app]" in (folder / "rook.toml").read_text()
    assert (folder / "rook.toml").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(folder)) == ["app.py", "rook.toml"]


def test_print_writes_nothing(rook, folder):
    (folder / "rook.toml").write_text("mine")
    ran = rook("init", "--print")
    assert ran.code == 0
    assert "[apps.app]" in ran.out
    assert (folder / "rook.toml").read_text() == "mine"


def test_nothing_found_gives_an_example_that_works(rook, folder):
    (folder / "app.py").unlink()
    ran = rook("init")
    assert "nothing here looks like a program" in ran.err
    assert rook("check").code == 0


def test_another_folder(rook, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert rook("init", "project").out == "wrote project/rook.toml\n"
    assert rook("check", "project/rook.toml").code == 0


@pytest.mark.parametrize("argv", [["nowhere"], ["--forse"], ["a", "b"], ["app.py"]])
def test_wrong_usage(rook, folder, argv):
    assert rook("init", *argv).code == 2
    assert os.listdir(folder) == ["app.py"]
