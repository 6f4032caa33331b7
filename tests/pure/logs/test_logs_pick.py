import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.logs.follow import Chunk
from rookery.logs.pick import Picker, Query

LINES = ["INFO a one", "ERROR b two", "  more of it", "plain A", "WARNING c", "\x1b[31mER\x1b[0mROR d", "Grüße ÄB", ""]
lines = st.lists(st.sampled_from(LINES), max_size=12)
queries = st.builds(
    Query,
    st.lists(st.sampled_from(["a", "ERROR", "^p", "ü.e", "äb", "b t", "x"]), max_size=2),
    ignore_case=st.booleans(),
    invert=st.booleans(),
    level=st.sampled_from([None, "info", "warning", "error"]),
)


@given(blocks=st.lists(lines, max_size=4), query=queries)
def test_blocks_are_picked_like_lines(blocks, query):
    whole, single = Picker(query, "out"), Picker(query, "out")
    for block in blocks:
        data = "".join(line + "\n" for line in block).encode()
        if data:
            expected = [line.encode() + b"\n" for line in block if single.wants(line.encode())]
            assert whole.pick(Chunk(data)) == b"".join(expected)


@pytest.mark.parametrize(
    ("patterns", "options", "expected"),
    [
        (["n A"], {}, ["plain A"]),
        (["N A"], {"ignore_case": True}, ["plain A"]),
        (["ERROR"], {}, ["ERROR b two", LINES[5]]),
        (["one$", "^plain"], {}, ["INFO a one", "plain A"]),
        (["äb"], {"ignore_case": True}, ["Grüße ÄB"]),
        (["[a-zA-Z]"], {"invert": True}, [""]),
        ([], {"level": "error"}, ["ERROR b two", "  more of it"]),
        (["o"], {"level": "error"}, ["ERROR b two", "  more of it"]),
    ],
)
def test_patterns(patterns, options, expected):
    picker = Picker(Query(patterns, **options), "out")
    assert [line for line in LINES if picker.wants(line.encode())] == expected


def test_pieces_of_a_long_line_share_the_fate_of_the_first():
    picker = Picker(Query(["begin"]), "out")
    pieces = [
        Chunk(b"begin", is_open=True),
        Chunk(b"xx", continues=True, is_open=True),
        Chunk(b"end\n", continues=True),
    ]
    assert [picker.pick(piece) for piece in pieces] == [b"begin", b"xx", b"end\n"]
    pieces[0] = Chunk(b"other", is_open=True)
    assert [picker.pick(piece) for piece in pieces] == [b"", b"", b""]
    assert picker.pick(Chunk(b"begin again\n")) == b"begin again\n"


@pytest.mark.parametrize("pattern", ["(", "a{9999999999}", "[z-a]"])
def test_what_is_no_pattern(pattern):
    with pytest.raises(ValueError, match="no regular expression"):
        Query([pattern])
