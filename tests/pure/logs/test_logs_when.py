import os
import time

import pytest

from rookery.logs.when import parse_when

NOW = 1_761_480_000.5  # Sunday 2025-10-26, 12:00:00.5 UTC; in Berlin the day of 25 hours


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    del os.environ["TZ"]
    time.tzset()


@pytest.mark.parametrize(
    ("text", "ago"),
    [("10m", 600), ("2h30m", 9000), ("-90s", 90), ("1d ago", 86400), ("5", 5), ("now", 0), (f"@{NOW - 7}", 7)],
)
def test_how_long_ago(text, ago):
    assert parse_when(text, NOW) == pytest.approx(NOW - ago)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("09:30", "2025-10-26 09:30:00"),
        ("09:30:15", "2025-10-26 09:30:15"),
        ("today", "2025-10-26 00:00:00"),
        ("yesterday", "2025-10-25 00:00:00"),
        ("2025-03-01", "2025-03-01 00:00:00"),
        ("2025-03-01 08:09", "2025-03-01 08:09:00"),
        ("2025-03-01T08:09:10", "2025-03-01 08:09:10"),
    ],
)
def test_local_times(zone, text, local):
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(parse_when(text, NOW))) == local


@pytest.mark.parametrize("text", ["2025-10-26T12:00:00Z", "2025-10-26T14:00:00+02:00", "2025-10-26 07:00:00-05:00"])
def test_times_with_a_zone(zone, text):
    assert parse_when(text, NOW) == NOW - 0.5


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "2025-13-01", "@", "@x", "@1e99", "10 parsecs", "99999-01-01", "@nan"]
)
def test_anything_else_is_told_what_is_allowed(text):
    with pytest.raises(ValueError, match="write how long ago"):
        parse_when(text, NOW)
