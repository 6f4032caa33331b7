import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs import tail
from rookery.logs.tail import last_line_end, last_lines

text = st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r", b"\x85", b"x" * 30]), max_size=60).map(b"".join)


def lines_of(data):
    return data.removesuffix(b"\n").split(b"\n") if data else []


def write_chain(path, parts):
    """Parts, oldest first, as path.N ... path.1, path."""
    for number, part in enumerate(reversed(parts)):
        with open(f"{path}.{number}" if number else path, "wb") as file:
            file.write(part)


@given(parts=st.lists(text, min_size=1, max_size=4), n=st.integers(0, 80), block=st.integers(1, 50))
def test_equals_splitting_the_whole_stream(parts, n, block):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "BLOCK", block)
        path = f"{folder}/web.log"
        write_chain(path, parts)
        whole = lines_of(b"".join(parts))
        assert last_lines(path, n) == (whole[-n:] if n else [])


@given(data=text, until=st.integers(0, 200), n=st.integers(1, 10))
def test_until_offset_hides_what_came_later(data, until, n):
    with tempfile.TemporaryDirectory() as folder:
        write_chain(f"{folder}/web.log", [data])
        assert last_lines(f"{folder}/web.log", n, until_offset=until) == lines_of(data[:until])[-n:]


@given(data=text, block=st.integers(1, 50))
def test_last_line_end(data, block):
    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "BLOCK", block)
        file.write(data)
        file.flush()
        assert last_line_end(file.fileno()) == data.rfind(b"\n") + 1


def test_a_missing_file_has_no_lines(tmp_path):
    assert last_lines(str(tmp_path / "none.log"), 10) == []


def test_in_the_middle_of_a_rotation_the_rotated_file_is_the_newest(tmp_path):
    (tmp_path / "web.log.1").write_bytes(b"a\nb\n")
    assert last_lines(str(tmp_path / "web.log"), 1) == [b"b"]


def test_the_gap_of_a_killed_rotation_is_passed_over(tmp_path):
    write_chain(str(tmp_path / "web.log"), [b"a\n", b"b\n", b"c\n", b"d\n"])
    (tmp_path / "web.log.1").rename(tmp_path / "keep")
    assert last_lines(str(tmp_path / "web.log"), 9) == [b"a", b"b", b"d"]


def test_a_rotation_while_reading_repeats_nothing(tmp_path, monkeypatch):
    path = str(tmp_path / "web.log")
    write_chain(path, [b"old\n", b"new\n"])
    real_open = os.open

    def open_and_rotate(name, *rest):
        if name == f"{path}.1" and not os.path.exists(f"{path}.2"):
            os.rename(f"{path}.1", f"{path}.2")
            os.rename(path, f"{path}.1")
        return real_open(name, *rest)

    monkeypatch.setattr(os, "open", open_and_rotate)
    assert last_lines(path, 10) == [b"old", b"new"]


def test_no_more_than_max_bytes_are_looked_through(tmp_path):
    path = tmp_path / "web.log"
    path.write_bytes(b"x" * 100 + b"tail")
    assert last_lines(str(path), 1, max_bytes=4) == [b"tail"]


def test_a_file_that_may_not_be_read_is_an_error(tmp_path):
    path = tmp_path / "web.log"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        last_lines(str(path), 1)
