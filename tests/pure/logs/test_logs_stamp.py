import time

import pytest

from rookery.logs.stamp import Stamper


@pytest.fixture
def paris(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("data", "mid_line", "stamped"),
    [
        (b"a\n", False, b"T a\n"),
        (b"a\nb\n", False, b"T a\nT b\n"),
        (b"a\nb", False, b"T a\nT b"),
        (b"rest\nb\n", True, b"rest\nT b\n"),
        (b"\n", False, b"T \n"),
        (b"\n", True, b"\n"),
        (b"\n\n", False, b"T \nT \n"),
        (b"rest", True, b"rest"),
    ],
)
def test_every_line_that_begins_is_stamped_once(paris, data, mid_line, stamped):
    now = b"2024-07-01T12:00:00.250+02:00"
    assert Stamper(lambda: 1719828000.25).stamp(data, mid_line=mid_line) == stamped.replace(b"T ", now + b" ")


def test_the_time_moves_on_and_follows_the_offset(paris):
    # The last second of summer time in Paris, and the first of winter time.
    times = iter([1729990799.999, 1729990800.0])
    stamper = Stamper(lambda: next(times))
    assert stamper.stamp(b"a\n", mid_line=False) == b"2024-10-27T02:59:59.999+02:00 a\n"
    assert stamper.stamp(b"b\n", mid_line=False) == b"2024-10-27T02:00:00.000+01:00 b\n"


def test_an_offset_west_of_greenwich(monkeypatch):
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    try:
        assert Stamper(lambda: 1719828000.0).stamp(b"a", mid_line=False) == b"2024-07-01T07:30:00.000-02:30 a"
    finally:
        monkeypatch.undo()
        time.tzset()
