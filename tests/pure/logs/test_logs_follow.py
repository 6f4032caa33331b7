import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs import follow
from rookery.logs.follow import Follower, LogSource, end_of, follow_all
from rookery.logs.writer import LogFile


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def rotate(path, keep=9):
    for number in range(keep - 1, 0, -1):
        if os.path.exists(f"{path}.{number}"):
            os.rename(f"{path}.{number}", f"{path}.{number + 1}")
    os.rename(path, f"{path}.1")


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
    assert poll_all(follower) == [b"x" * 12, b"xx", b"b"]


lines_and_actions = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["wait", "wait", "poll", "resume"])), max_size=60
)


@given(steps=lines_and_actions)
def test_every_line_once_through_any_rotation(steps):
    """The real writer rotates; the follower looks now and then, and is replaced by one that resumes."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/web.log"
        log = LogFile(path, max_size=40, keep=99)
        follower = Follower(path)
        seen = follower.poll()
        sent = [b"%d %s" % (number, b"y" * length) for number, (length, _) in enumerate(steps)]
        for line, (_, action) in zip(sent, steps, strict=True):
            log.write(line[:3])
            log.write(line[3:] + b"\n")
            if action != "wait":
                seen += follower.poll()
            if action == "resume":
                follower.close()
                follower = Follower(path, follower.position)
        seen += poll_all(follower)
        follower.close()
        log.close()
    assert seen == sent


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
    real_chain = follow.chain

    def write_and_look(path):
        monkeypatch.setattr(follow, "chain", real_chain)
        append(f"{path}.1", b"2\n")
        return real_chain(path)

    monkeypatch.setattr(follow, "chain", write_and_look)
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


class TestFollowAll:
    def test_last_lines_then_what_comes(self, tmp_path):
        web, db = str(tmp_path / "web.log"), str(tmp_path / "db.log")
        append(web, b"w1\nw2\nw3\n")
        sources = [LogSource("web:0", "out", web), LogSource("db:0", "err", db), LogSource("web:0", "err", web)]
        steps = iter([lambda: append(db, b"d1\n"), lambda: rotate(web), lambda: append(web, b"w4\n")])
        slept = []

        def sleep(seconds):
            slept.append(seconds)
            next(steps, lambda: None)()

        lines = follow_all(sources, lines=2, sleep=sleep, stop=lambda: len(slept) > 3)
        assert list(lines) == [
            ("web:0", "out", b"w2"),
            ("web:0", "out", b"w3"),
            ("db:0", "err", b"d1"),
            ("web:0", "out", b"w4"),
        ]

    def test_it_looks_less_often_when_nothing_comes(self, path):
        slept = []
        stop = lambda: len(slept) > 30  # noqa: E731
        assert list(follow_all([LogSource("a", "out", path)], poll=0.1, sleep=slept.append, stop=stop)) == []
        assert slept[0] == 0.1
        assert slept[-1] == 0.25

    def test_leaving_early_closes_the_files(self, path):
        append(path, b"1\n")
        before = len(os.listdir("/proc/self/fd"))
        lines = follow_all([LogSource("a", "out", path)], sleep=lambda _: append(path, b"2\n"))
        assert [next(lines), next(lines)] == [("a", "out", b"1"), ("a", "out", b"2")]
        lines.close()
        assert len(os.listdir("/proc/self/fd")) == before
