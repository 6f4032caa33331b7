"""A value in a file: whole at any time, changed by one at a time."""

from __future__ import annotations

import json
import os
import threading

import pytest

from rookery import StateFile
from rookery._base import atomic
from rookery.errors import FileDamaged, LockTimeout, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


def test_it_comes_back(path):
    file = StateFile(path)
    assert file.read() is None
    file.write({"jobs": [1, 2], "ok": True})
    assert StateFile(path).read() == {"jobs": [1, 2], "ok": True}
    assert json.loads(path.read_text()) == file.read()
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(path.parent)) == ["state.json", "state.json.lock"]


def test_the_default_is_nobodys_own(path):
    file = StateFile(path, default={"jobs": []})
    file.read()["jobs"].append(1)
    assert file.read() == {"jobs": []}


def test_bytes(path):
    file = StateFile(path, codec="bytes", default=b"")
    file.write(bytearray(b"\0\xff"))
    assert file.read() == b"\0\xff"
    with pytest.raises(UsageError, match="takes bytes, got str"):
        file.write("text")
    assert file.read() == b"\0\xff"


def test_a_codec_of_ones_own(path):
    class Shout:
        def encode(self, value):
            return value.upper().encode()

        def decode(self, data):
            return data.decode()

    file = StateFile(path, codec=Shout())
    file.write("quiet")
    assert file.read() == "QUIET"
    with pytest.raises(UsageError, match="no codec 'xml'"):
        StateFile(path, codec="xml")


def test_update(path):
    file = StateFile(path, default=0)
    assert file.update(lambda value: value + 1) == 1
    assert file.update(lambda value: value + 1) == 2
    with pytest.raises(ZeroDivisionError):
        file.update(lambda value: value / 0)
    assert file.read() == 2
    with file.lock():
        file.write(10)
        assert file.update(lambda value: value + 1) == 11


def test_threads_take_turns(path):
    file = StateFile(path, default=0)
    threads = [threading.Thread(target=lambda: [file.update(lambda n: n + 1) for _ in range(10)]) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert file.read() == 40


def test_a_lock_that_is_not_free(path):
    with StateFile(path).lock(), pytest.raises(LockTimeout, match=r"not free within 0.05 s") as caught:
        StateFile(path, lock_timeout=0.05).write(1)
    assert caught.value.after == 0.05
    assert not path.exists()
    StateFile(path, lock_timeout=0).write(1)


def test_what_cannot_be_written(path):
    file = StateFile(path)
    file.write(1)
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        file.write(object())
    loop = []
    loop.append(loop)
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        file.write(loop)
    assert file.read() == 1


def test_a_bounded_size(path):
    file = StateFile(path, max_size=100)
    with pytest.raises(UsageError, match=r"bytes, .* takes 100"):
        file.write("x" * 100)
    path.write_text('"' + "x" * 100 + '"')
    with pytest.raises(FileDamaged, match="has 102 bytes, allowed are 100"):
        file.read()


def test_a_damaged_file_is_told_and_kept(path):
    file = StateFile(path)
    path.write_bytes(b'{"half": ')
    for use in (file.read, lambda: file.update(lambda value: value)):
        with pytest.raises(FileDamaged, match="cannot be read") as caught:
            use()
        assert caught.value.copy == f"{path}.damaged"
        assert caught.value.copy in caught.value.hint
    assert path.read_bytes() == b'{"half": '  # nobody wrote over it
    file.write(1)
    assert file.read() == 1
    assert (path.parent / "state.json.damaged").read_bytes() == b'{"half": '


def test_a_copy_that_cannot_be_kept_hides_nothing(path, monkeypatch):
    path.write_bytes(b"half")
    (path.parent / "state.json.damaged").mkdir()
    with pytest.raises(FileDamaged) as caught:
        StateFile(path).read()
    assert caught.value.copy == ""


def test_what_is_no_file(path):
    os.mkfifo(path)
    with pytest.raises(FileDamaged, match="no plain file"):
        StateFile(path).read()


def test_the_mode_stays_and_a_link_too(path, tmp_path):
    path.write_text("1")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    StateFile(link).write(2)
    assert link.is_symlink()
    assert path.read_text() == "2\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_may_be_for_others(path):
    StateFile(path, mode=0o644).write(1)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_changes_nothing(path, monkeypatch, step):
    file = StateFile(path)
    file.write("old")

    def fails(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fails)
        with pytest.raises(OSError, match="No space"):
            file.write("new")
    assert file.read() == "old"
    assert sorted(os.listdir(path.parent)) == ["state.json", "state.json.lock"]
    file.write("new")


def test_it_is_on_disk_before_it_has_the_name(path, monkeypatch):
    steps = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (steps.append(name), real(*args))[1])
    atomic.replace(str(path), b"1")
    assert steps == ["fsync", "replace", "fsync"]
