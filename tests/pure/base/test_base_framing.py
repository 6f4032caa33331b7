import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery._base.framing import HEADER, FrameBuffer, frame
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
    assert len(buffer._pending) <= HEADER.size


@given(st.lists(st.binary(max_size=20)))
def test_noise_gives_payloads_or_a_frame_error(chunks):
    buffer = FrameBuffer(limit=10)
    try:
        for chunk in chunks:
            assert all(len(payload) <= 10 for payload in buffer.feed(chunk))
            assert len(buffer._pending) < HEADER.size + 10
    except FrameError:
        return
