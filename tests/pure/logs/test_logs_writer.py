import errno
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs.rotation import rotated
from rookery.logs.rules import Rules
from rookery.logs.writer import LOOK_EVERY, RETRY_EVERY, ROTATE_AGAIN, LogFile

pieces = st.lists(st.sampled_from([b"\n", b"a\n", b"bc", b"line of text\n", b"x" * 40, b"1\n2\n3\n4\n"]), max_size=40)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def dropped(log, data):
    """How many lines a write loses."""
    before = log.loss.all_lines
    assert log.write(data) == len(data)
    return log.loss.all_lines - before


def files_of(path):
    """The contents of a log's files, oldest first."""
    numbers = [n for n in range(200) if os.path.exists(rotated(path, n))]
    return [read(rotated(path, n)) for n in reversed(numbers)]


@pytest.mark.parametrize(
    ("writes", "max_size", "expected"),
    [
        ([b"aaa\n", b"bbb\n"], 8, [b"aaa\nbbb\n"]),
        ([b"aaa\n", b"bbb\n", b"c\n"], 8, [b"aaa\nbbb\n", b"c\n"]),
        ([b"aaa\nbbb\nccc\n"], 9, [b"aaa\nbbb\n", b"ccc\n"]),
        ([b"aaa\nbbb\nccc\n"], 4, [b"aaa\n", b"bbb\n", b"ccc\n"]),
        ([b"a line longer than the limit\nb\n"], 5, [b"a line longer than the limit\n", b"b\n"]),
        ([b"aaa\nbb", b"bbbbb", b"b\nc"], 8, [b"aaa\nbbbbbbbb\n", b"c"]),
        ([b"\n\n\n"], 1, [b"\n", b"\n", b"\n"]),
        ([b"aaa\nbbb\n"], 0, [b"aaa\nbbb\n"]),
    ],
)
def test_a_file_ends_at_the_last_newline_that_fits(make_log, path, writes, max_size, expected):
    log = make_log(max_size=max_size)
    for data in writes:
        log.write(data)
    assert files_of(path) == expected
    assert log.rotations == len(expected) - 1


@given(writes=pieces, max_size=st.integers(1, 60), reopened=st.sets(st.integers(0, 40)))
def test_rotation_loses_and_splits_nothing(writes, max_size, reopened):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/web.log"
        log = LogFile(path, Rules(max_size, 199))
        for number, data in enumerate(writes):
            if number in reopened:  # a new collector goes on where the old one was killed
                log.close()
                log = LogFile(path, Rules(max_size, 199))
            log.write(data)
        log.close()
        files = files_of(path)
    assert b"".join(files) == b"".join(writes)
    assert all(content.endswith(b"\n") for content in files[:-1])
    for content in files:  # over the limit only by the line that was begun below it
        assert content.rfind(b"\n", 0, len(content) - 1) < max_size


def test_only_so_many_are_kept_and_neighbours_are_not_touched(make_log, tmp_path):
    path = str(tmp_path / "web-1.out.log")
    neighbours = ["web-10.out.log.1", "web-1.out.log.x", "web-1.out.logs.9", "web-1.err.log.8"]
    for name in neighbours:
        (tmp_path / name).write_bytes(b"mine")
    for number in (3, 4, 5):  # from a time when more were kept
        (tmp_path / f"web-1.out.log.{number}").write_bytes(b"old\n")
    log = make_log(max_size=2, keep=2, path=path)
    for letter in b"abcd":
        log.write(bytes([letter, 10]))
    assert files_of(path) == [b"b\n", b"c\n", b"d\n"]
    assert all((tmp_path / name).read_bytes() == b"mine" for name in neighbours)


def test_the_gap_of_a_killed_rotation_is_closed_by_the_next(make_log, path):
    for number in (1, 2, 4, 5):
        with open(f"{path}.{number}", "wb") as file:
            file.write(b"%d\n" % number)
    log = make_log(max_size=2, keep=6)
    log.write(b"a\nb\n")
    assert files_of(path) == [b"5\n", b"4\n", b"2\n", b"1\n", b"a\n", b"b\n"]
    assert not os.path.exists(f"{path}.6")


def test_keep_zero_keeps_only_the_newest(make_log, path):
    log = make_log(max_size=2, keep=0)
    for data in (b"a\n", b"b\n"):
        log.write(data)
    assert files_of(path) == [b"b\n"]


def test_a_refused_rotation_lets_the_file_grow_and_is_tried_again(make_log, path, clock, monkeypatch):
    log = make_log(max_size=4)
    real_rename = os.rename

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", refuse)
    log.write(b"aaa\n")
    log.write(b"bbb\n")
    log.write(b"ccc\n")
    assert files_of(path) == [b"aaa\nbbb\nccc\n"]
    monkeypatch.setattr(os, "rename", real_rename)
    clock.now += ROTATE_AGAIN
    log.write(b"ddd\n")
    assert files_of(path) == [b"aaa\nbbb\nccc\n", b"ddd\n"]


def test_modes_of_what_is_made(make_log, tmp_path):
    make_log(path=str(tmp_path / "logs" / "web.log")).write(b"a\n")
    assert os.stat(tmp_path / "logs").st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "logs" / "web.log").st_mode & 0o777 == 0o600


def test_a_symbolic_link_is_not_followed(make_log, path, tmp_path):
    (tmp_path / "precious").write_bytes(b"")
    os.symlink(tmp_path / "precious", path)
    log = make_log()
    assert dropped(log, b"a\n") == 1
    assert log.problem == os.strerror(errno.ELOOP)
    assert (tmp_path / "precious").read_bytes() == b""


@pytest.mark.parametrize("go_away", [os.unlink, lambda path: os.rename(path, f"{path}.old")])
def test_a_file_that_was_taken_away_is_made_again(make_log, path, clock, go_away):
    log = make_log()
    log.write(b"a\n")
    go_away(path)
    clock.now += LOOK_EVERY
    log.write(b"b\n")
    assert read(path) == b"b\n"


def test_a_file_that_was_emptied_gets_no_hole(make_log, path):
    log = make_log()
    log.write(b"a\n" * 10)
    os.truncate(path, 0)
    log.write(b"b\n")
    assert read(path) == b"b\n"


def test_what_others_append_is_not_overwritten(make_log, path):
    log = make_log()
    log.write(b"a\n")
    with open(path, "ab") as other:
        other.write(b"other\n")
    log.write(b"b\n")
    assert read(path) == b"a\nother\nb\n"


def test_what_others_append_may_be_no_whole_line(make_log, path):
    log = make_log()
    log.write(b"a\n")
    with open(path, "ab") as other:
        other.write(b"half")
    log.write(b"")
    assert log.mid_line


def test_an_unfinished_line_keeps_others_out_until_it_ends(make_log, path):
    log = make_log()
    assert log.claim("1/1/out")
    log.write(b"one, begun")
    assert not log.claim("2/1/out")
    log.write(b" and ended\n")
    assert log.claim("2/1/out")
    log.write(b"two\n")
    assert read(path) == b"one, begun and ended\ntwo\n"


@pytest.mark.parametrize("released", [True, False])
def test_an_abandoned_line_is_ended(make_log, path, released):
    log = make_log()
    log.claim("1/1/out")
    log.write(b"one")
    if released:
        log.release("1/1/out")
    assert log.claim("2/1/out", force=not released)
    log.write(b"two\n")
    assert read(path) == b"one\ntwo\n"


def test_who_goes_on_after_a_flush_keeps_his_line(make_log):
    log = make_log()
    log.claim("1/1/out")
    log.write(b"half")
    log.release("1/1/out")
    assert log.claim("1/1/out")
    log.write(b" and more")
    assert not log.claim("2/1/out")


def test_after_a_restart_of_the_collector_a_line_goes_on(make_log, path):
    with open(path, "wb") as before:
        before.write(b"beg")
    log = make_log()
    log.users = 1
    assert log.claim("1/1/out")
    log.write(b"un\n")
    assert read(path) == b"begun\n"


class TestFullDisk:
    def test_lines_are_counted_and_the_gap_is_marked(self, make_log, path, clock, disk):
        log = make_log()
        log.write(b"before\n")
        disk.left = 0
        assert dropped(log, b"1\n2\n") == 2
        assert dropped(log, b"3\n") == 1
        disk.left = None
        clock.now += RETRY_EVERY
        assert dropped(log, b"after\n") == 0
        mark = b"[rookery] 3 lines (6 bytes) were dropped here: No space left on device\n"
        assert read(path) == b"before\n" + mark + b"after\n"
        assert log.problem == ""

    def test_the_rest_of_a_torn_line_is_dropped_too(self, make_log, path, clock, disk):
        log = make_log()
        disk.left = 4
        assert dropped(log, b"1\n2, half") == 1
        disk.left = None
        clock.now += RETRY_EVERY
        assert dropped(log, b" a line") == 0
        assert dropped(log, b" ends\nafter\n") == 0
        mark = b"[rookery] 1 lines (18 bytes) were dropped here: No space left on device\n"
        assert read(path) == b"1\n2,\n" + mark + b"after\n"

    def test_it_is_not_tried_at_every_line(self, make_log, path, disk):
        log = make_log()
        disk.left = 0
        log.write(b"1\n")
        disk.left = None
        log.write(b"2\n")
        assert read(path) == b""

    def test_the_mark_comes_without_further_output(self, make_log, path, clock, disk):
        log = make_log()
        disk.left = 0
        log.write(b"1\n")
        disk.left = None
        assert not log.retry()
        clock.now += RETRY_EVERY
        assert log.retry()
        assert read(path).startswith(b"[rookery] 1 lines (2 bytes)")

    def test_a_mark_that_does_not_fit_is_tried_again(self, make_log, path, clock, disk):
        log = make_log()
        disk.left = 0
        log.write(b"1\n")
        disk.left = 5
        clock.now += RETRY_EVERY
        log.write(b"2\n")
        disk.left = None
        clock.now += RETRY_EVERY
        log.write(b"3\n")
        mark = b"[rookery] 2 lines (4 bytes) were dropped here: No space left on device\n"
        assert read(path) == b"[rook\n" + mark + b"3\n"

    def test_a_file_that_cannot_be_opened_is_a_full_disk_too(self, make_log, clock, tmp_path):
        path = tmp_path / "no-folder" / "web.log"
        (tmp_path / "no-folder").write_bytes(b"a file stands in the way")
        log = make_log(path=str(path))
        assert dropped(log, b"1\n") == 1
        (tmp_path / "no-folder").unlink()
        clock.now += RETRY_EVERY
        log.write(b"2\n")
        assert path.read_bytes() == b"[rookery] 1 lines (2 bytes) were dropped here: Not a directory\n2\n"

    def test_the_torn_line_of_one_does_not_cost_another_ones(self, make_log, path, clock, disk):
        log = make_log()
        log.claim("1/1/out")
        disk.left = 0
        log.write(b"half")
        disk.left = None
        clock.now += RETRY_EVERY
        assert log.claim("2/1/out", force=True)
        log.write(b"two\n")
        assert read(path) == b"[rookery] 1 lines (4 bytes) were dropped here: No space left on device\ntwo\n"

    def test_the_real_one(self, make_log):
        log = make_log(path="/dev/full", max_size=1)
        assert dropped(log, b"1\n2\n") == 2
        assert log.problem == os.strerror(errno.ENOSPC)

    @given(writes=pieces, budgets=st.lists(st.none() | st.integers(0, 60), max_size=40))
    def test_every_byte_is_written_or_counted(self, writes, budgets):
        with tempfile.TemporaryDirectory() as folder:
            left = None

            def limited(fd, view):
                nonlocal left
                if left == 0:
                    raise OSError(errno.EDQUOT, "quota")
                written = os.write(fd, view if left is None else view[:left])
                left = left if left is None else left - written
                return written

            now = 0.0
            log = LogFile(f"{folder}/web.log", Rules(50, 199), write=limited, clock=lambda: now)
            for number, data in enumerate(writes):
                left = budgets[number] if number < len(budgets) else None
                now += RETRY_EVERY
                assert log.write(data) == len(data)
            left = None
            log.close()
            files = files_of(f"{folder}/web.log")
        kept = b"".join(files)
        sent = b"".join(writes)
        if not log.loss.all_lines:
            assert kept == sent
        # What was kept are whole lines of what was sent, in order, but for torn ones, torn marks and the marks.
        wanted = iter(sent.split(b"\n"))
        for line in kept.split(b"\n"):
            if not line.startswith(b"[") and line:
                assert any(candidate.startswith(line) for candidate in wanted), line
        mine = sum(len(line) + 1 for line in kept.split(b"\n") if line.startswith(b"["))
        newlines_that_ended_torn_lines = len(kept) - mine + log.loss.all_bytes - len(sent)
        assert 0 <= newlines_that_ended_torn_lines <= len(writes)


class TestSomethingInItsPlace:
    """Somebody puts something else where the file was."""

    @pytest.fixture
    def told(self):
        return []

    @pytest.fixture
    def log(self, make_log, told):
        log = make_log(tell=told.append)
        log.write(b"1\n")
        return log

    def look(self, log, clock, data):
        clock.now += LOOK_EVERY
        log.write(data)

    def test_a_link_is_not_followed_and_told_once(self, log, clock, path, tmp_path, told):
        os.rename(path, tmp_path / "old")
        os.symlink(tmp_path / "target", path)
        for number in (b"2\n", b"3\n", b"4\n"):
            self.look(log, clock, number)
        why = os.strerror(errno.ELOOP)
        assert told == [{"event": "log_full", "path": path, "why": why, "blocks": False, "astray": True}]
        assert log.problem == why
        assert log.counters()["astray"] is True
        assert read(tmp_path / "old") == b"1\n2\n3\n4\n"
        assert not (tmp_path / "target").exists()
        os.unlink(path)
        self.look(log, clock, b"5\n")
        assert told[1:] == [{"event": "log_dropped", "path": path, "lines": 0, "bytes": 0, "why": why}]
        assert read(path) == b"5\n"
        assert log.problem == ""

    def test_a_fifo_is_left_as_soon_as_it_has_gone(self, log, clock, path):
        os.unlink(path)
        os.mkfifo(path)
        self.look(log, clock, b"2\n")
        self.look(log, clock, b"x" * 70_000 + b"\n")
        assert log.problem == os.strerror(errno.EAGAIN)
        os.unlink(path)
        self.look(log, clock, b"3\n")
        assert read(path).endswith(b"were dropped here: Resource temporarily unavailable\n3\n")
        assert log.problem == ""

    def test_a_spliced_line_ends_the_trouble_too(self, log, clock, disk, told):
        log.rules.blocks = True
        disk.left = 0
        log.write(b"2\n")
        disk.left = None
        clock.now += RETRY_EVERY
        assert log.retry()
        reading, writing = os.pipe()
        os.write(writing, b"2\n")
        assert log.splice(reading, 10) == 2
        os.close(reading)
        os.close(writing)
        assert [event["event"] for event in told] == ["log_full", "log_dropped"]

    def test_closing_it_ends_what_was_told_of_it(self, log, disk, told):
        disk.left = 0
        log.write(b"2\n")
        log.close()
        full, gone = told
        assert full["event"] == "log_full"
        assert (gone["event"], gone["lines"], gone["bytes"]) == ("log_dropped", 1, 2)


def test_the_mark_of_a_gap_looks_like_the_other_lines(make_log, path, clock, disk):
    log = make_log()
    log.dress = lambda line: b"<" + line[:-1] + b">\n"
    disk.left = 0
    log.write(b"1\n")
    disk.left = None
    clock.now += RETRY_EVERY
    log.write(b"2\n")
    assert read(path) == b"<[rookery] 1 lines (2 bytes) were dropped here: No space left on device>\n2\n"
