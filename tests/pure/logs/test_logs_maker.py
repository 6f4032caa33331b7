import json
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs.levels import LOOK, level_of
from rookery.logs.maker import Format, Maker

NOW = 1719828000.25
TIME = "2024-07-01T12:00:00.250+02:00"
FORMATS = [
    Format(),
    Format(timestamps="iso"),
    Format(prefix="web:0 | "),
    Format(timestamps="HH:mm", prefix="web:0 | "),
    Format(json=True, app="web", instance=2),
    Format(json=True, app="web", stream="err", timestamps="%s"),
]


@pytest.fixture(autouse=True)
def paris(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def maker(form, clock=lambda: NOW):
    return Maker(form, clock)


@pytest.mark.parametrize(
    ("data", "stamped"),
    [
        (b"a\n", b"T a\n"),
        (b"a\nb\n", b"T a\nT b\n"),
        (b"a\nb", b"T a\nT b"),
        (b"\n", b"T \n"),
        (b"\n\n", b"T \nT \n"),
        (b"a\r\n\r\n", b"T a\r\nT \r\n"),
        (b"\x00\xff\x1b[31m\n", b"T \x00\xff\x1b[31m\n"),
        (b"", b""),
    ],
)
def test_the_time_goes_before_each_line_and_nothing_else_is_changed(data, stamped):
    assert maker(Format(timestamps="iso")).make(data) == stamped.replace(b"T ", TIME.encode() + b" ")


def test_a_line_in_pieces_has_one_time():
    one = maker(Format(timestamps="%s", prefix="p| "))
    assert one.make(b"a") == b"1719828000 p| a"
    assert one.is_inside
    assert one.make(b"b") == b"b"
    assert one.make(b"c\nd\n") == b"c\n1719828000 p| d\n"
    assert not one.is_inside


def test_ending_an_unfinished_line_and_hearing_that_somebody_else_did():
    one = maker(Format(prefix="> "))
    one.make(b"a")
    assert one.end() == b""
    assert not one.is_inside
    assert one.make(b"b") == b"> b"
    one.reset()
    assert not one.is_inside
    assert one.make(b"c\n") == b"> c\n"


def test_without_anything_to_add_the_same_object_comes_back():
    data = b"a\nb"
    one = maker(Format())
    assert one.make(data) is data
    assert one.is_inside


def test_lines_that_come_together_have_one_time_and_later_ones_theirs():
    times = iter([1729990799.999, 1729990800.0])  # the last of summer time in Paris, and the first of winter time
    one = maker(Format(timestamps="iso"), lambda: next(times))
    assert one.make(b"a\nb\n") == b"2024-10-27T02:59:59.999+02:00 a\n2024-10-27T02:59:59.999+02:00 b\n"
    assert one.make(b"c\n") == b"2024-10-27T02:00:00.000+01:00 c\n"


def test_a_json_line_has_all_facts_in_order():
    one = maker(Format(json=True, app='a"b\\', instance=3, stream="err"))
    text = one.make(b'WARNING: \x1b[31mred\x1b[0m\ttab \xc3\xa9\xff "q" \\n\r\n').decode()
    assert list(json.loads(text).items()) == [
        ("time", TIME),
        ("level", "warning"),
        ("app", 'a"b\\'),
        ("instance", 3),
        ("stream", "err"),
        ("message", 'WARNING: \x1b[31mred\x1b[0m\ttab é\ufffd "q" \\n\r'),
    ]
    assert text.count("\n") == 1
    assert "\\u001b[31mred" in text


def test_a_continuation_has_the_level_of_its_line_also_in_the_next_piece():
    one = maker(Format(json=True))
    data = [b"ok\nTraceback (most recent call last):\n  File\n", b"    x = 1\nValueError: 1\n", b"  more\nfine\n"]
    levels = [json.loads(line)["level"] for piece in data for line in one.make(piece).splitlines()]
    assert levels == ["info", "error", "error", "error", "error", "error", "info"]


def test_the_end_closes_an_unfinished_object():
    one = maker(Format(json=True))
    assert one.make(b"ERROR: half \xe2\x82") == b""
    assert one.is_inside
    told = json.loads(one.end())
    assert (told["level"], told["message"]) == ("error", "ERROR: half \ufffd")
    assert not one.is_inside
    assert one.end() == b""
    assert one.make(b"x\n").startswith(b'{"time"')


def test_a_line_of_our_own_looks_like_the_others():
    form = Format(timestamps="HH", prefix="web:0 | ", app="web", stream="err")
    line = Maker(form, lambda: 0.0).note(b"[rookery] gap\n")
    assert line[2:] == b" web:0 | [rookery] gap\n"
    maker = Maker(form._replace(json=True))
    begun = maker.make(b'{"a"')
    found = json.loads(maker.note(b'[rookery] "gap"\n'))
    assert {key: found[key] for key in ("level", "app", "stream", "message")} == {
        "level": "warning", "app": "web", "stream": "err", "message": '[rookery] "gap"',
    }  # fmt: skip
    assert json.loads(begun + maker.make(b": 1}\n"))["message"] == '{"a": 1}'


def test_a_reset_loses_nothing_that_was_held_back():
    one = maker(Format(json=True))
    first = one.make(b"x" * LOOK + b"\xe2\x82")
    assert first.endswith(b"x" * LOOK)
    one.reset()
    one.reset()
    assert json.loads(one.make(b"\xac\n"))["message"] == "\u20ac"
    assert one.make(b"held") == b""
    one.reset()
    assert json.loads(one.make(b" back\n"))["message"] == "held back"


def test_a_very_long_line_passes_in_pieces_without_being_kept():
    one = maker(Format(json=True))
    piece = b'error: "' + b"y" * 65528
    tracemalloc.start()
    try:
        parts = [one.make(piece)]
        sizes = [len(one.make(piece)) for _ in range(800)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    parts.append(one.make(b"\n"))
    assert min(sizes) > 65000
    assert peak < 2_000_000
    assert json.loads(b"".join(parts))["level"] == "error"


PIECES = st.sampled_from(
    [
        *(b"\n", b"\n\n", b"a", b"ERROR ", b"error: x", b"{", b'"level":"warn"', b"}", b" ", b"\t", b"INFO x\n"),
        *(b"\r", b"\r\n", b"\0", b"\x1b[31m", b'"', b"\\", b"\\n", b"\xe2", b"\x82", b"\xac", b"\xf0\x9f", b"\x98\x80"),
        *(
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"x" * (LOOK - 3),
            b"Traceback (most recent call last):\n",
            b"level=warn ",
        ),
    ]
)
DATA = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=20).map(b"".join))


@given(data=DATA, cuts=st.lists(st.integers(0, 2000), max_size=12), form=st.sampled_from(FORMATS))
def test_any_split_gives_the_same(data, cuts, form):
    whole, pieces = maker(form), maker(form)
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    split = [pieces.make(data[start:end]) for start, end in pairwise(at)]
    assert b"".join([*split, pieces.end()]) == whole.make(data) + whole.end()


@given(data=DATA)
def test_each_line_becomes_one_object_that_holds_it(data):
    one = maker(Format(json=True, app="web"))
    told = [json.loads(line) for line in (one.make(data) + one.end()).split(b"\n")[:-1]]
    lines = data.split(b"\n")
    lines = lines if lines[-1] else lines[:-1]
    assert [line["message"] for line in told] == [line.decode("utf-8", "replace") for line in lines]
    level = None
    for line, record in zip(lines, told, strict=True):
        level = level_of(line, "out", level)
        assert record["level"] == level


@pytest.mark.parametrize("pattern", ["", "nothing: ö"])
def test_json_needs_no_pattern_but_a_wrong_one_is_refused(pattern):
    if pattern:
        with pytest.raises(ValueError, match="%Q"):
            maker(Format(json=True, timestamps="%Q"))
    else:
        assert TIME.encode() in maker(Format(json=True)).make(b"\n")
