"""Rotation by the clock, waiting for a full disk, ownership of lines, flush: what a log file's rules add."""

import os

import pytest

from rookery.logs.rotation import rotated
from rookery.logs.rules import Rules
from rookery.logs.writer import RETRY_EVERY, LogFile

DAY = 86400.0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def files_of(path):
    numbers = [n for n in range(200) if os.path.exists(rotated(path, n))]
    return [read(rotated(path, n)) for n in reversed(numbers)]


@pytest.fixture
def wall(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")

    class Wall:
        now = 10 * DAY + 1

        def __call__(self):
            return self.now

    return Wall()


class TestRotationByTime:
    def test_it_comes_with_the_first_output_of_the_day(self, make_log, path, wall):
        log = make_log(rotate="daily", wall=wall)
        log.write(b"a\n")
        wall.now += DAY
        assert files_of(path) == [b"a\n"]
        log.write(b"b\n")
        log.write(b"c\n")
        assert files_of(path) == [b"a\n", b"b\nc\n"]

    def test_a_line_is_finished_first(self, make_log, path, wall):
        log = make_log(rotate="daily", wall=wall)
        log.write(b"a, begun")
        wall.now += DAY
        log.write(b" and ended\nb\n")
        assert files_of(path) == [b"a, begun and ended\n", b"b\n"]

    def test_splice_leaves_it_to_write(self, make_log, wall):
        log = make_log(rotate="daily", wall=wall)
        reading, writing = os.pipe()
        os.write(writing, b"a\n")
        wall.now += DAY
        assert log.splice(reading, 2) == 0
        os.close(reading)
        os.close(writing)

    def test_an_older_file_is_rotated_by_a_new_collector(self, make_log, path, wall):
        with open(path, "wb") as file:
            file.write(b"old\n")
        os.utime(path, (9 * DAY, 9 * DAY))
        log = make_log(rotate="daily", wall=wall)
        log.write(b"new\n")
        assert files_of(path) == [b"old\n", b"new\n"]

    def test_nothing_is_rotated_where_nothing_was_written(self, make_log, path, wall):
        log = make_log(rotate="daily", wall=wall)
        wall.now += 3 * DAY
        log.write(b"a\n")
        assert files_of(path) == [b"a\n"]


class TestBlocking:
    def test_nothing_is_dropped(self, make_log, path, clock, disk):
        told = []
        log = make_log(blocks=True, tell=told.append)
        disk.left = 4
        data = b"one\ntwo\nthree\n"
        done = log.write(data)
        assert done == 4
        assert log.write(data[done:]) == 0
        assert log.problem == "No space left on device"
        assert log.needs_retry
        disk.left = None
        assert log.write(data[done:]) == 0  # not at every line
        clock.now += RETRY_EVERY
        assert log.write(data[done:]) == len(data) - 4
        assert read(path) == data
        assert log.loss.all_lines == 0
        assert log.problem == ""
        assert [event["event"] for event in told] == ["log_full", "log_dropped"]
        assert told[0]["blocks"] is True
        assert told[1]["lines"] == 0

    def test_another_ones_line_cannot_be_ended_meanwhile(self, make_log, path, clock, disk):
        log = make_log(blocks=True)
        log.claim("1/1/out")
        log.write(b"half")
        log.release("1/1/out")
        disk.left = 0
        assert not log.claim("2/1/out")
        disk.left = None
        clock.now += RETRY_EVERY
        assert log.claim("2/1/out")
        assert read(path) == b"half\n"


class TestOwnership:
    @pytest.mark.parametrize(
        ("before", "after", "may"),
        [
            ("1/1/out", "1/1/out", True),
            ("1/1/out", "1/2/out", True),  # the next copy: the one before has gone
            ("1/1/out", "1/1/err", False),
            ("1/1/out", "2/1/out", False),
        ],
    )
    def test_it_outlives_the_process(self, make_log, path, before, after, may):
        first = make_log()
        first.claim(before)
        first.write(b"half")
        again = make_log()
        assert again.claim(after) is may
        again.write(b"rest\n")
        assert read(path) == (b"halfrest\n" if before == after or not may else b"half\nrest\n")

    def test_a_release_outlives_it_too(self, make_log, path):
        first = make_log()
        first.claim("1/1/out")
        first.write(b"half")
        first.release("1/1/out")
        assert make_log().claim("7/1/out")
        assert read(path) == b"half\n"

    def test_it_is_known_where_a_copys_output_begins(self, make_log):
        log = make_log(max_size=20)
        log.write(b"before\n")
        log.claim("1/1/out")
        log.write(b"mine\n")
        assert log.began("1/1/out") == 7
        assert make_log(max_size=20).began("1/1/out") == 7
        log.write(b"and in the next file\n")
        assert log.began("1/1/out") == 0


def test_flush_begins_anew_and_leaves_no_gap_for_readers(make_log, path):
    log = make_log(max_size=4)
    for data in (b"aaa\n", b"bbb\n", b"ccc\n"):
        log.write(data)
    with open(path, "rb") as reader:
        log.empty()
        assert reader.read() == b"ccc\n"
    log.write(b"d\n")
    assert files_of(path) == [b"d\n"]


def test_a_rotation_is_told_to_who_packs(path):
    packed = []
    log = LogFile(path, Rules(2, 5, compress=True), to_pack=packed.append)
    log.write(b"a\nb\n")
    log.close()
    assert packed == [path]
