import gzip
import os
import time
import zlib
from pathlib import Path

import pytest

from rookery.logs.period import period_end
from rookery.logs.rotation import chain, packed_header, packed_identity, remove, rotated, shift, side


def put(path, number, content, *, packed=False, index=True):
    name = rotated(str(path), number) + (".gz" if packed else "")
    with open(name, "wb") as file:
        file.write(gzip.compress(content) if packed else content)
    if index:
        with open(side(str(path), number), "wb") as file:
            file.write(b"index of " + content)


def content_of(part):
    with open(part.name, "rb") as file:
        data = file.read()
    return gzip.decompress(data) if part.is_packed else data


def seen(path):
    found = {}
    for part in chain(str(path)):
        index = Path(side(str(path), part.number))
        found[part.number] = (content_of(part), index.read_bytes() if index.exists() else b"")
    return found


def test_packed_files_and_indexes_move_along(tmp_path):
    path = tmp_path / "web.log"
    put(path, 0, b"new")
    put(path, 1, b"one")
    put(path, 2, b"two", packed=True)
    put(path, 3, b"three", packed=True, index=False)
    shift(str(path), 3)
    assert seen(path) == {
        1: (b"new", b"index of new"),
        2: (b"one", b"index of one"),
        3: (b"two", b"index of two"),
    }
    shift(str(path), 3)  # nothing at 0: only the gap wanders
    remove(str(path))
    assert os.listdir(tmp_path) == []


def test_where_a_kill_left_both_the_packed_one_counts(tmp_path):
    path = tmp_path / "web.log"
    put(path, 0, b"new")
    put(path, 1, b"one")
    put(path, 1, b"one", packed=True)
    assert seen(path)[1][0] == b"one"
    shift(str(path), 5)
    assert sorted(os.listdir(tmp_path)) == ["web.log.1", "web.log.1.idx", "web.log.2.gz", "web.log.2.idx"]


def test_a_file_that_is_packed_under_our_eyes_is_not_missed(tmp_path, monkeypatch):
    path = tmp_path / "web.log"
    put(path, 2, b"two")
    real, plain = os.stat, rotated(str(path), 2)

    def stat(name, **options):
        if name == plain and os.path.lexists(plain):
            put(path, 2, b"two", packed=True)
            os.unlink(plain)
        return real(name, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert [(part.number, part.is_packed) for part in chain(str(path))] == [(2, True)]


def test_what_is_beyond_keep_goes_with_its_index(tmp_path):
    path = tmp_path / "web.log"
    for number in range(6):
        put(path, number, b"%d" % number, packed=number > 2)
    shift(str(path), 2)
    assert seen(path) == {1: (b"0", b"index of 0"), 2: (b"1", b"index of 1")}
    assert len(os.listdir(tmp_path)) == 4


def test_an_index_does_not_go_with_another_file(tmp_path):
    path = tmp_path / "web.log"
    put(path, 0, b"new", index=False)
    put(path, 1, b"one")
    shift(str(path), 1)
    assert seen(path) == {1: (b"new", b"")}


def test_a_packed_file_tells_what_it_was(tmp_path):
    name = tmp_path / "web.log.2.gz"
    packer = zlib.compressobj(1, wbits=-15)
    body = packer.compress(b"content") + packer.flush()
    crc = zlib.crc32(b"content").to_bytes(4, "little") + (7).to_bytes(4, "little")
    name.write_bytes(packed_header((65025, 1234567)) + body + crc)
    assert gzip.decompress(name.read_bytes()) == b"content"
    with name.open("rb") as file:
        assert packed_identity(file.fileno()) == (65025, 1234567)
    (tmp_path / "web.log").write_bytes(b"")
    assert [part.identity for part in chain(str(tmp_path / "web.log"))][1:] == [(65025, 1234567)]


@pytest.mark.parametrize(
    ("kind", "zone", "at", "end"),
    [
        ("hourly", "UTC", "2026-11-21 13:59:59", "2026-11-21 14:00:00"),
        ("hourly", "UTC", "2026-11-21 14:00:00", "2026-11-21 15:00:00"),
        ("hourly", "Asia/Kolkata", "2026-11-21 14:10:00", "2026-11-21 15:00:00"),
        ("daily", "UTC", "2026-12-31 23:59:59", "2027-01-01 00:00:00"),
        ("daily", "Europe/Berlin", "2026-03-29 01:00:00", "2026-03-30 00:00:00"),
        ("daily", "Europe/Berlin", "2026-10-25 00:00:00", "2026-10-26 00:00:00"),
        ("weekly", "UTC", "2026-11-21 13:00:00", "2026-11-23 00:00:00"),
        ("weekly", "UTC", "2026-11-23 00:00:00", "2026-11-30 00:00:00"),
    ],
)
def test_periods_are_of_the_local_time(monkeypatch, kind, zone, at, end):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        stamp = time.mktime(time.strptime(at, "%Y-%m-%d %H:%M:%S"))
        found = period_end(kind, stamp)
        assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found)) == end
    finally:
        monkeypatch.undo()
        time.tzset()


def test_never_is_never():
    assert period_end("never", 1.0) == float("inf")
