import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery._base.units import format_duration, format_size, parse_duration, parse_size

anything = st.one_of(
    st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers()), st.binary()
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (10, 10.0), (0, 0.0), (0.25, 0.25), ("10", 10.0), ("1e3", 1000.0), ("100ms", 0.1), ("5s", 5.0), ("2m", 120.0),
        ("1h", 3600.0), ("1d", 86400.0), ("1m30s", 90.0), ("1m 30s", 90.0), (" 1.5h ", 5400.0), ("0s", 0.0),
    ],
)  # fmt: skip
def test_a_duration_is_read(value, seconds):
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    ["", "s", "ten", "10x", "-1s", -1, "1 0 s", "1 0", "s10", "10 ss", True, None, "nan", "inf", float("inf"),
     "9" * 400 + "d", [], {}],
)  # fmt: skip
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(value)


def test_a_huge_number_is_not_repeated_in_the_error():
    with pytest.raises(ValueError, match="a duration is not a huge number") as raised:
        parse_duration(10**400)
    assert len(str(raised.value)) < 100


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0), (1048576, 1048576), ("0", 0), ("64", 64), ("64b", 64), ("1K", 1024), ("300M", 300 * 1024**2),
        ("1.5G", 1536 * 1024**2), ("64 KiB", 65536), ("2tb", 2 * 1024**4), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_a_size_is_read(value, size):
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["", "K", "-1", -1, "1.5.5", 1.5, True, None, "5\N{KELVIN SIGN}", "1 M M", b"1K", []])
def test_what_is_no_size_is_refused(value):
    with pytest.raises(ValueError, match="not a size"):
        parse_size(value)


@example(value="5\N{KELVIN SIGN}")
@example(value="9" * 5000)
@given(value=anything)
def test_readers_raise_nothing_but_value_error(value):
    for read in (parse_duration, parse_size):
        try:
            assert read(value) >= 0
        except ValueError:
            continue


@given(text=st.from_regex(r"\A[0-9]{1,400}(\.[0-9]{1,400})? ?[kKmMgGtT]?[iI]?[bB]?\Z"))
def test_whatever_looks_like_a_size_is_read_or_refused(text):
    try:
        parse_size(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0ms"), (0.0, "0ms"), (0.3, "300ms"), (0.9994, "999ms"), (0.9996, "1s"), (1.5, "1.5s"), (9.97, "10s"),
        (42.4, "42s"), (59.96, "60s"), (60.0, "1m"), (61.0, "1m1s"), (600.0, "10m"), (3600.0, "1h"), (5400.0, "1h30m"),
        (86400.0, "1d"), (90000.0, "1d1h"), (864000.0, "10d"),
    ],
)  # fmt: skip
def test_a_duration_is_written(seconds, text):
    assert format_duration(seconds) == text


@given(st.floats(0, 1e9))
def test_a_written_duration_can_be_read_and_is_near(seconds):
    read = parse_duration(format_duration(seconds))
    assert abs(read - seconds) <= max(0.0006, seconds * 0.1)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (512, "512B"), (1536, "1.5K"), (50541363, "48.2M"), (3 * 1024**3, "3.0G"), (5 * 1024**4, "5.0T")],
)
def test_a_size_is_written(size, text):
    assert format_size(size) == text
