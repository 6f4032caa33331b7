import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery._base.framing import HEADER, FrameBuffer, FrameReader, frame
from rookery.errors import FrameError

payloads = st.lists(st.binary(max_size=40), max_size=8)


@given(payloads=payloads, cuts=st.lists(st.integers(0, 400)))
def test_any_cut_gives_the_same_payloads(payloads, cuts):
    stream = b"".join(frame(payload) for payload in payloads)
    buffer = FrameBuffer()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    got = [one for start, end in itertools.pairwise(edges) for one in buffer.feed(stream[start:end])]
    assert got == payloads
    assert buffer.is_empty


@given(payloads=payloads, kept=st.integers(0, 400))
def test_half_a_frame_is_waited_for(payloads, kept):
    stream = b"".join(frame(payload) for payload in payloads)
    buffer = FrameBuffer()
    got = buffer.feed(stream[:kept])
    assert got == payloads[: len(got)]
    assert buffer.is_empty == (sum(len(one) + HEADER.size for one in got) == min(kept, len(stream)))


def test_a_payload_of_exactly_the_limit_passes():
    assert FrameBuffer(limit=5).feed(frame(b"12345", limit=5)) == [b"12345"]


def test_a_larger_payload_is_not_framed():
    with pytest.raises(FrameError, match="6 bytes is larger than the limit of 5"):
        frame(b"123456", limit=5)


def test_an_announced_giant_is_refused_and_what_follows_is_not_kept():
    buffer = FrameBuffer(limit=5)
    for _ in range(100):
        with pytest.raises(FrameError, match="announces"):
            buffer.feed(HEADER.pack(6) + b"x" * 1000)
    assert buffer._reader.partial <= HEADER.size


@given(st.lists(st.binary(max_size=20)))
def test_noise_gives_payloads_or_a_frame_error(chunks):
    buffer = FrameBuffer(limit=10)
    try:
        for chunk in chunks:
            assert all(len(payload) <= 10 for payload in buffer.feed(chunk))
            assert buffer._reader.partial < HEADER.size + 10
    except FrameError:
        return


@given(payloads=st.lists(st.binary(max_size=9000), max_size=6), reads=st.lists(st.integers(1, 5000), min_size=1))
def test_a_reader_gives_what_was_framed_however_it_is_read(payloads, reads):
    stream = memoryview(b"".join(frame(payload) for payload in payloads))
    reader = FrameReader(size=64)
    got = []
    for size in itertools.cycle(reads):
        if not stream:
            break
        room = reader.room()
        count = min(size, len(room), len(stream))
        room[:count] = stream[:count]
        stream = stream[count:]
        got += [bytes(payload) for payload in reader.cut(count)]
    assert got == payloads
    assert reader.partial == 0


def test_a_reader_shrinks_after_a_giant():
    reader = FrameReader(size=64)
    stream = memoryview(frame(b"x" * 3_000_000))
    while stream:
        room = reader.room()
        count = min(len(room), len(stream))
        room[:count] = stream[:count]
        stream = stream[count:]
        reader.cut(count)
    assert len(reader.room()) == 64
