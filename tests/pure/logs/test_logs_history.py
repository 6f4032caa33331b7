"""Where to begin reading, against reading everything."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import append, index, pack, rotate

from rookery.logs import history
from rookery.logs.follow import Follower
from rookery.logs.history import Wanted, beginning
from rookery.logs.times import Times

words = st.lists(st.sampled_from([b"a\n", b"bb\n", b"\n", b"x" * 40 + b"\n", b"long " * 30 + b"a\n"]), max_size=25)


def read_from(path, wanted):
    with Follower(path, beginning(path, wanted)) as follower:
        lines = []
        while more := follower.poll():
            lines += more
        rest = None if wanted.whole else follower.rest()
        return lines + ([rest.data] if rest else [])


@given(
    parts=st.lists(words, min_size=1, max_size=4),
    end=st.sampled_from([b"", b"half"]),
    n=st.one_of(st.none(), st.integers(0, 40)),
    packed=st.booleans(),
    window=st.sampled_from([16, 100, 256 * 1024]),
    whole=st.booleans(),
    matches=st.sampled_from([None, b"a"]),
)
def test_the_last_lines(parts, end, n, packed, window, whole, matches):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "WINDOW", window)
        path = f"{folder}/web.log"
        for number, part in enumerate(parts):
            if number:
                rotate(path)
            append(path, b"".join(part))
        append(path, end)
        if packed:
            for number in range(2, 9):
                pack(path, number)
        lines = [line for part in parts for line in b"".join(part).split(b"\n")[:-1]]
        if end and not whole:
            lines.append(end)
        counts = [number for number, line in enumerate(lines) if matches is None or matches in line]
        if n is None:
            expected = lines
        elif n == 0:
            expected = [end] if end and not whole else []
        else:
            expected = lines[counts[-n] :] if len(counts) >= n else lines
        wanted = Wanted(n, matches=None if matches is None else (lambda: lambda line: matches in line), whole=whole)
        assert read_from(path, wanted) == expected


@pytest.fixture
def timed(path):
    """Lines 0 to 5, a second apart, in three files."""
    for number in range(0, 6, 2):
        if number:
            rotate(path)
        append(path, b"%d\n%d\n" % (number, number + 1))
        index(path, (number * 1000, 0), (number * 1000 + 1000, 2))
    pack(path, 2)
    return path


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(since=0), "012345"),
        (Wanted(since=2000), "2345"),
        (Wanted(since=3000), "345"),
        (Wanted(since=3600), "45"),
        (Wanted(since=9000), ""),
        (Wanted(2, since=1000), "45"),
        (Wanted(9, since=3000), "345"),
        (Wanted(2, until=3500), "2345"),  # the follower goes on; a Reader stops at until
        (Wanted(1, until=0), "012345"),
    ],
)
def test_since_and_until(timed, wanted, expected):
    assert read_from(timed, wanted) == [b"%c" % ord(one) for one in expected]


def test_a_file_without_an_index_is_as_old_as_its_last_change(path):
    append(path, b"old\n")
    os.utime(path, (100, 100))
    rotate(path)
    append(path, b"new\n")
    os.utime(path, (200, 200))
    assert read_from(path, Wanted(since=150_000)) == [b"new"]
    assert read_from(path, Wanted(since=50_000)) == [b"old", b"new"]


def test_a_missing_log(path):
    assert beginning(path, Wanted(5)) is None
    assert beginning(path, Wanted(0)) is None


records = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=40)


@given(
    records=records, later=records, block=st.integers(1, 7), asked=st.lists(st.integers(0, 70), min_size=1, max_size=12)
)
def test_times_read_by_blocks_equal_the_whole_index(records, later, block, asked):
    from rookery.logs import times as module
    from rookery.logs.index import read_index

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        path = f"{folder}/web.log"
        append(path, b"x")
        index(path, *records)
        status = os.stat(path)
        times = Times(path, (status.st_dev, status.st_ino))
        for step, offset in enumerate(asked):
            if step == len(asked) // 2:
                with open(f"{path}.idx", "ab") as file:
                    file.write(b"".join(a.to_bytes(8, "little") + b.to_bytes(8, "little") for a, b in later))
            whole = read_index(path)
            at = [ms for ms, start in whole if start <= offset]
            following = [start for _, start in whole if start > offset]
            expected = (at[-1] if at else None, following[0] if following else None)
            assert times.at(offset) == expected
            assert times.first() == (whole[0][0] if whole else None)
        times.close()
