import datetime as dt
import locale
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs.patterns import check_pattern, compile_pattern

NOW = 1719828005.0423  # a Monday
LATE = 1735689599.5  # the last second of 2024 in Greenwich


@pytest.fixture
def zone(monkeypatch):
    def become(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield become
    monkeypatch.undo()
    time.tzset()


TOKENS = [
    ("YYYY YY Y", "2024 24 2024"),
    ("M MM MMM MMMM Mo", "7 07 Jul July 7th"),
    ("D DD Do DDD DDDD DDDo", "1 01 1st 183 183 183rd"),
    ("d dd ddd dddd do e E", "1 Mo Mon Monday 1st 1 1"),
    ("H HH h hh k kk A a", "12 12 12 12 12 12 PM pm"),
    ("m mm s ss", "0 00 5 05"),
    ("S SS SSS SSSS SSSSSS SSSSSSSSS", "0 04 042 0423 042300 042300000"),
    ("Z ZZ z X x", "+02:00 +0200 CEST 1719828005 1719828005042"),
    ("Q Qo w ww wo gg gggg W WW Wo GG GGGG", "3 3rd 27 27 27th 24 2024 27 27 27th 24 2024"),
    ("YYYY-MM-DD HH:mm Z", "2024-07-01 12:00 +02:00"),
    ("YYYY-MM-DDTHH:mm:ss.SSS", "2024-07-01T12:00:05.042"),
    ("[at] HH [o'clock YYYY]", "at 12 o'clock YYYY"),
    ("[Δ]HH", "Δ12"),
    ("iso", "2024-07-01T12:00:05.042+02:00"),
    ("%Y-%m-%d %H:%M:%S", "2024-07-01 12:00:05"),
    ("%H.%f|%L|%:z|%z|%%d", "12.042300|042|+02:00|+0200|%d"),
    ("[%H]", "[12]"),
    ("%s", "1719828005"),
]


@pytest.mark.parametrize(("pattern", "written"), TOKENS)
def test_what_a_pattern_writes(zone, pattern, written):
    zone("Europe/Paris")
    assert compile_pattern(pattern)(NOW) == written


def test_midnight_and_the_edge_of_the_year(zone):
    zone("UTC")
    assert compile_pattern("HH H hh h kk k A Do")(1704067200.0) == "00 0 12 12 24 24 AM 1st"
    assert compile_pattern("gggg-ww GGGG-WW YYYY DDD Q")(LATE) == "2025-01 2025-01 2024 366 4"
    assert compile_pattern("GGGG-WW")(dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp()) == "2026-53"


@given(st.dates(dt.date(1971, 1, 1), dt.date(2100, 12, 31)))
def test_iso_weeks_are_those_of_the_calendar(date):
    noon = time.mktime((date.year, date.month, date.day, 12, 0, 0, 0, 0, -1))
    year, week, day = date.isocalendar()
    assert compile_pattern("GGGG W E")(noon) == f"{year} {week} {day}"
    saturday = date + dt.timedelta(days=(5 - date.weekday()) % 7)
    assert compile_pattern("gggg w")(noon) == f"{saturday.year} {(saturday.timetuple().tm_yday - 1) // 7 + 1}"


@pytest.mark.parametrize(
    ("day", "ordinal"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (22, "22nd")]
)
def test_ordinals(day, ordinal):
    assert compile_pattern("Do")(time.mktime((2024, 5, day, 12, 0, 0, 0, 0, -1))) == ordinal


def test_the_offset_follows_summer_and_winter_time(zone):
    zone("Europe/Paris")
    write = compile_pattern("HH:mm Z")
    assert [write(1729990799.999), write(1729990800.0)] == ["02:59 +02:00", "02:00 +01:00"]
    zone("America/St_Johns")
    assert compile_pattern("iso")(1719828000.0) == "2024-07-01T07:30:00.000-02:30"


def test_the_clock_may_go_back(zone):
    zone("UTC")
    write = compile_pattern("HH:mm:ss.SSS")
    assert [write(10.5), write(9.75), write(10.5)] == ["00:00:10.500", "00:00:09.750", "00:00:10.500"]


@pytest.mark.parametrize(
    ("pattern", "later"), [("ss", 0.9), ("mm", 0.9), ("x", 0.0004), ("ss.S", 0.09), ("%s", 0.9), ("%L", 0.0004)]
)
def test_the_same_object_comes_back_until_something_changes(pattern, later):
    write = compile_pattern(pattern)
    assert write(1000.0) is write(1000.0 + later)


def test_names_of_tokens_are_english_whatever_the_locale():
    before = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8"):
        try:
            locale.setlocale(locale.LC_TIME, name)
            break
        except locale.Error:
            continue
    try:
        assert compile_pattern("dddd MMMM")(0.0 + 86400) in ("Thursday January", "Friday January")
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("[HH:mm]", "nothing of the time; try 'YYYY"),
        ("---", "nothing of the time; try 'YYYY"),
        ("100%%", "nothing of the time; try '%Y"),
        ("%Y %Q", "'%Q', which is no strftime directive"),
        ("%Y %", "'%', which is no strftime directive"),
        ("%H%n", "'%n', which is no strftime directive"),
        ("HH\nmm", "must stay on one line"),
    ],
)
def test_what_is_no_pattern_is_said_in_words(pattern, said):
    with pytest.raises(ValueError, match="timestamps pattern") as caught:
        check_pattern(pattern)
    assert said in str(caught.value)
