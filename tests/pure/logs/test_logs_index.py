import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs.index import EVERY, IndexWriter, read_index
from rookery.logs.rotation import side


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_index(tmp_path, clock):
    made = []

    def make(identity=(1, 2)):
        index = IndexWriter(str(tmp_path / "web.log"), wall=clock, clock=clock)
        index.attach(identity)
        made.append(index)
        return index

    yield make
    for index in made:
        index.close()


def test_a_record_each_quarter_of_a_second_of_output(make_index, clock, tmp_path):
    index = make_index()
    for offset in range(0, 1000, 100):
        index.note(offset)
        clock.now += EVERY / 2
    assert read_index(str(tmp_path / "web.log")) == [
        (1000000 + n * int(EVERY * 1000), offset) for n, offset in enumerate(range(0, 1000, 200))
    ]


def test_nothing_is_made_before_there_is_output(make_index, tmp_path):
    make_index()
    assert os.listdir(tmp_path) == []


def test_another_process_goes_on(make_index, clock, tmp_path):
    first = make_index()
    first.own("1/1/out", 5)
    first.note(5)
    with open(side(str(tmp_path / "web.log")), "ab") as file:
        file.write(b"half a reco")  # the disk was full, or it was killed
    clock.now += 1
    second = make_index()
    assert (second.owner, second.since) == ("1/1/out", 5)
    second.note(9)
    assert read_index(str(tmp_path / "web.log")) == [(1000000, 5), (1001000, 9)]


def test_the_index_of_another_file_is_not_believed(make_index, tmp_path):
    first = make_index()
    first.own("1/1/out", 0)
    first.note(0)
    assert read_index(str(tmp_path / "web.log"), (3, 4)) == []
    assert read_index(str(tmp_path / "web.log"), (1, 2)) == [(1000000, 0)]
    second = make_index(identity=(3, 4))
    assert second.owner == ""
    second.note(0)
    assert read_index(str(tmp_path / "web.log"), (3, 4)) == [(1000000, 0)]


@pytest.mark.parametrize("content", [b"", b"garbage", b"rookidx1" + b"\xff" * 10, b"rookidx1" + b"\xff" * 400])
def test_a_damaged_index_is_none(make_index, tmp_path, content):
    path = str(tmp_path / "web.log")
    with open(side(path), "wb") as file:
        file.write(content)
    assert read_index(path, (1, 2)) == []
    index = make_index()
    index.note(7)
    assert read_index(path, (1, 2)) == [(1000000, 7)]


def test_a_long_key_is_cut_and_a_full_disk_is_no_error(make_index, tmp_path, monkeypatch):
    index = make_index()
    index.own("k" * 1000, 0)
    assert make_index().owner.startswith("kkk")
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    index.note(1)


@given(st.lists(st.integers(0, 500), max_size=60))
def test_offsets_only_grow_whatever_was_shortened(tmp_path_factory, offsets):
    path = str(tmp_path_factory.mktemp("index") / "web.log")
    clock = Clock()
    index = IndexWriter(path, wall=clock, clock=clock)
    index.attach((1, 2))
    for offset in offsets:
        index.note(offset)
        clock.now += 1
    index.close()
    found = read_index(path)
    assert [offset for _, offset in found] == sorted({offset for _, offset in found})
    if offsets:
        assert found[-1] == (int((clock.now - 1) * 1000), offsets[-1])
