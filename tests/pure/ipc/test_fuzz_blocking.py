"""Noise for a blocking channel: messages or a clear error, like the other one."""

import itertools
import pickle
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery._base.framing import HEADER, frame
from rookery.errors import ChannelTimeout, Disconnected, FrameError, RemoteError
from rookery.ipc.channel import Channel
from rookery.ipc.codecs import codec_named
from rookery.ipc.envelope import Envelope
from rookery.ipc.sync_channel import SyncChannel

LIMIT = 2000
CODECS = ["msgpack", "json", "json-lines", "node", "text", "pickle"]
quick = settings(max_examples=100, deadline=None)
cuts = st.lists(st.integers(1, 5000), max_size=6)
simple = st.one_of(
    st.none(), st.integers(-5, 2**53), st.text(max_size=20), st.lists(st.integers(0, 9), max_size=5),
    st.fixed_dictionaries({"type": st.sampled_from(["known", "fails", "other"])}),
)  # fmt: skip


def everything(stream, codec, edges=()):
    """What a SyncChannel makes of a stream that comes in these pieces: messages, and how it ended."""
    here, there = socket.socketpair()
    channel = SyncChannel(there, codec=codec, max_message=LIMIT)
    channel.on("known", lambda message: message)
    channel.on("fails", lambda _: 1 / 0)
    found = []
    pieces = sorted({0, *(edge for edge in edges if edge < len(stream)), len(stream)})

    def take(timeout):
        while True:
            try:
                found.append(channel.receive(timeout=timeout))
            except ZeroDivisionError:  # of a message that nobody waits for
                continue

    def feed():
        for start, end in itertools.pairwise(pieces):
            here.sendall(stream[start:end])
            with pytest.raises(ChannelTimeout):
                take(0)
        here.close()
        take(20)

    with here, channel, pytest.raises((Disconnected, FrameError)) as caught:  # a ChannelTimeout would be a hang
        feed()
    return found, caught.value


@pytest.mark.parametrize("codec", ["msgpack", "json", "json-lines", "node", "pickle"])
def test_any_messages_cut_anywhere_and_merged(codec):
    @quick
    @given(st.lists(st.none() | st.integers(-5, 2**53) | st.text(max_size=30), max_size=8), cuts)
    def check(messages, edges):
        made = codec_named(codec)
        payloads = [made.encode(message) for message in messages]
        found, error = everything(b"".join(payloads if made.is_lines else map(frame, payloads)), codec, edges)
        assert found == messages
        assert type(error) is Disconnected

    check()


@pytest.mark.parametrize("codec", CODECS)
def test_noise(codec):
    @quick
    @given(st.binary(max_size=5000), cuts)
    def check(noise, edges):
        _, error = everything(noise if codec != "pickle" else b"\xff" + noise, codec, edges)  # a pickle would be run
        assert str(error)

    check()


@pytest.mark.parametrize("codec", ["msgpack", "json", "pickle", "json-lines", "node"])
def test_envelopes_that_belong_to_nothing(codec):
    """Answers to nobody, progress of nothing, cancelled strangers, the same request twice: passed over."""

    @quick
    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5), simple), max_size=10), cuts)
    def check(envelopes, edges):
        made = codec_named(codec)
        payloads = [made.pack(Envelope(*one))[0] for one in envelopes]
        found, error = everything(b"".join(payloads if made.is_lines else map(frame, payloads)), codec, edges)
        assert type(error) is Disconnected
        assert len(found) <= sum(kind == 0 for kind, _, _ in envelopes)

    check()


@pytest.mark.parametrize(
    ("codec", "stream"),
    [
        ("msgpack", HEADER.pack(LIMIT + 1)),
        ("json", HEADER.pack(2**31)),
        ("pickle", HEADER.pack(2**32 - 1)),
        ("json-lines", b"x" * (LIMIT + 1)),
        ("node", b'{"a":"' + b"x" * LIMIT),
        ("text", b"x" * (LIMIT + 1)),
        ("msgpack", frame(b"\xc1\x94\x01\x01\x01\x05")),
        ("pickle", frame(b"\xc2\x00\x00\x00\x01" + bytes(8) + pickle.dumps(1))),
        ("node", b'{"$reply":-1,"message":1}\n'),
    ],
)
def test_what_is_too_large_or_malformed(codec, stream):
    found, error = everything(stream, codec)
    assert found == []
    assert isinstance(error, FrameError)
    assert str(error)


@pytest.mark.parametrize("kind", [Channel, SyncChannel])
async def test_an_error_of_any_shape(kind):
    """What stands in the answer is the other side's word."""
    for body in (None, 7, [], {}, {"type": 1, "message": None, "traceback": []}, "text"):
        here, there = socket.socketpair()
        answer = frame(codec_named("msgpack").pack(Envelope(3, 1, body))[0])
        if kind is SyncChannel:
            with SyncChannel(there) as channel, here:
                here.sendall(answer)
                with pytest.raises(RemoteError):
                    channel.request(1, timeout=20)
        else:
            async with Channel(there) as channel:
                with here:
                    here.sendall(answer)
                    with pytest.raises(RemoteError):
                        await channel.request(1, timeout=20)
