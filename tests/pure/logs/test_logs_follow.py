import os
import shutil

import pytest
from written import append, pack, rotate

from rookery.logs import follow, succession
from rookery.logs.follow import Follower
from rookery.logs.position import BEGINNING, end_of


def poll_all(follower):
    lines = []
    while more := follower.poll():
        lines += more
    return lines


@pytest.fixture
def follower(path):
    with Follower(path) as follower:
        yield follower


def test_a_file_that_is_not_there_yet(path, follower):
    assert follower.poll() == []
    append(path, b"a\nb\n")
    assert follower.poll() == [b"a", b"b"]


def test_only_whole_lines(path, follower):
    append(path, b"a\nb")
    assert follower.poll() == [b"a"]
    assert follower.poll() == []
    append(path, b"c\r\n")
    assert follower.poll() == [b"bc\r"]


def test_a_very_long_line_is_passed_on_in_pieces(path, follower, monkeypatch):
    monkeypatch.setattr(follow, "LONGEST", 10)
    monkeypatch.setattr(follow, "READ", 4)
    append(path, b"x" * 14 + b"\nb\n")
    chunks = []
    while chunk := follower.read():
        chunks.append((chunk.data, chunk.continues, chunk.is_open))
    assert chunks == [(b"x" * 12, False, True), (b"xx\n", True, False), (b"b\n", False, False)]


def test_the_old_file_is_read_to_its_end_first(path, follower):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    append(path, b"2\n")
    rotate(path)
    append(path, b"3\n")
    rotate(path)
    append(path, b"4\n")
    rotate(path)
    append(path, b"5\n")
    assert poll_all(follower) == [b"2", b"3", b"4", b"5"]


def test_it_stays_while_the_new_file_is_empty(path, follower):
    """logrotate makes the new file before the writer has left the old one."""
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    rotate(path)
    append(path, b"")
    assert follower.poll() == []
    append(f"{path}.1", b"2\n")
    assert follower.poll() == [b"2"]
    append(path, b"3\n")
    assert follower.poll() == [b"3"]


def test_what_was_written_while_it_looked_for_the_next_file(path, follower, monkeypatch):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    rotate(path)
    append(path, b"3\n")
    real_listed = succession.listed

    def write_and_look(path):
        monkeypatch.setattr(succession, "listed", real_listed)
        append(f"{path}.1", b"2\n")
        return real_listed(path)

    monkeypatch.setattr(succession, "listed", write_and_look)
    assert poll_all(follower) == [b"2", b"3"]


def test_a_rotation_between_the_look_and_the_opening_skips_nothing(path, follower, monkeypatch):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    rotate(path)
    append(path, b"2\n")
    rotate(path)
    append(path, b"3\n")
    real_open = os.open

    def rotate_and_open(name, *rest):
        monkeypatch.setattr(os, "open", real_open)
        rotate(path)
        append(path, b"4\n")
        return real_open(name, *rest)

    monkeypatch.setattr(os, "open", rotate_and_open)
    lines = poll_all(follower)
    assert lines + poll_all(follower) == [b"2", b"3", b"4"]


def test_in_the_middle_of_a_rotation_the_gap_is_passed_over(path, follower):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    rotate(path)
    append(path, b"2\n")
    os.rename(f"{path}.1", f"{path}.2")  # and path has not moved yet
    assert follower.poll() == [b"2"]
    os.rename(path, f"{path}.1")
    append(path, b"3\n")
    assert follower.poll() == [b"3"]


def test_a_file_that_was_rotated_away_for_good(path, follower):
    append(f"{path}.1", b"very old\n")
    os.utime(f"{path}.1", (1, 1))
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    os.unlink(path)
    assert follower.poll() == []
    append(path, b"2\n")
    rotate(path)
    append(path, b"3\n")
    assert poll_all(follower) == [b"2", b"3"]


def test_a_file_that_was_emptied_begins_again(path, follower):
    append(path, b"1\n2\nhal")
    assert follower.poll() == [b"1", b"2"]
    os.truncate(path, 0)
    assert follower.poll() == [b"hal"]
    append(path, b"3\n")
    assert follower.poll() == [b"3"]


def test_end_of_is_after_the_last_whole_line(path):
    assert end_of(path) is None
    append(path, b"1\n2\nhal")
    with Follower(path, end_of(path)) as follower:
        append(path, b"f\n")
        assert follower.poll() == [b"half"]


def test_a_position_survives_rotation(path):
    append(path, b"1\n2\nhal")
    with Follower(path) as first:
        assert first.poll() == [b"1", b"2"]
        position = first.position
    append(path, b"f\n")
    rotate(path)
    append(path, b"3\n")
    with Follower(path, position) as second:
        assert poll_all(second) == [b"half", b"3"]


def copytruncate(path):
    rotate(path)
    shutil.copy(f"{path}.1", f"{path}.new")
    os.rename(f"{path}.1", path)
    os.rename(f"{path}.new", f"{path}.1")
    os.truncate(path, 0)


def test_what_was_copied_before_it_was_emptied_is_read_from_the_copy(path, follower):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    append(path, b"2\n")
    copytruncate(path)
    append(path, b"3\n")
    assert poll_all(follower) == [b"2", b"3"]


def test_a_position_in_a_file_that_was_copied_and_emptied(path):
    append(path, b"1\n")
    with Follower(path) as first:
        assert first.poll() == [b"1"]
    append(path, b"2\n")
    copytruncate(path)
    append(path, b"3\n4\n5\n")
    with Follower(path, first.position) as second:
        assert poll_all(second) == [b"2", b"3", b"4", b"5"]


def test_packed_files_are_read_on(path, follower):
    append(path, b"1\n")
    assert follower.poll() == [b"1"]
    for number in (2, 3, 4):
        rotate(path)
        append(path, b"%d\n" % number)
    for number in (3, 2, 1):
        pack(path, number)
    assert poll_all(follower) == [b"2", b"3", b"4"]


def test_a_position_survives_packing(path):
    append(path, b"1\n2\n3\n")
    with Follower(path, end_of(path)) as follower:
        follower.poll()
        position = follower.position._replace(offset=2)
    rotate(path)
    append(path, b"4\n")
    pack(path, 1)
    with Follower(path, position) as second:
        assert poll_all(second) == [b"2", b"3", b"4"]


def test_a_position_of_a_file_whose_inode_is_another_ones_now(path):
    append(path, b"one\n")
    with Follower(path) as first:
        first.poll()
        position = first.position
    os.unlink(path)
    append(path, b"two\nthree\n")
    status = os.stat(path)
    position = position._replace(device=status.st_dev, inode=status.st_ino)
    with Follower(path, position) as second:
        assert poll_all(second) == [b"two", b"three"]


def test_what_was_removed_before_it_was_read_is_told(path):
    told = []
    with Follower(path, on_loss=told.append) as follower:
        append(path, b"1\n")
        assert follower.poll() == [b"1"]
        for number in range(2, 9):
            rotate(path, keep=3)
            append(path, b"%d\n" % number)
        assert poll_all(follower) == [b"5", b"6", b"7", b"8"]
        assert told == [0]


def test_how_many_were_removed_is_told_where_that_is_known(path):
    told = []
    for number in range(1, 5):
        rotate(path) if number > 1 else None
        append(path, b"%d\n" % number)
    with Follower(path, BEGINNING, on_loss=told.append) as follower:
        assert follower.poll() == [b"1"]
        os.unlink(f"{path}.3")
        os.unlink(f"{path}.2")
        os.rename(f"{path}.1", f"{path}.1")
        assert poll_all(follower) == [b"3", b"4"]
    assert told == [1]


def test_a_flush_is_no_loss_where_all_was_read(path):
    told = []
    append(path, b"1\n")
    with Follower(path, on_loss=told.append) as follower:
        assert follower.poll() == [b"1"]
        os.unlink(path)
        append(path, b"2\n")
        assert poll_all(follower) == [b"2"]
    assert told == []


def test_a_file_that_came_and_was_rotated_between_two_looks(path, follower):
    assert follower.poll() == []
    append(path, b"1\n")
    rotate(path)
    append(path, b"2\n")
    assert poll_all(follower) == [b"1", b"2"]


def test_an_unfinished_line_can_be_had_at_the_end(path, follower):
    append(path, b"1\n2")
    assert follower.poll() == [b"1"]
    assert follower.poll() == []
    assert follower.rest().data == b"2"
    assert follower.rest() is None


def test_closed_in_between_it_goes_on_where_it_was(path, follower):
    append(path, b"1\n2\nhal")
    assert follower.poll() == [b"1", b"2"]
    follower.close()
    assert not follower.is_open
    append(path, b"f\n")
    assert follower.poll() == [b"half"]
