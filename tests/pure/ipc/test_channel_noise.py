"""Whatever comes in, cut however: messages or a clear error, never a hang and never memory without bound."""

import asyncio
import itertools
import pickle
import socket

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery._base.framing import HEADER, frame
from rookery.errors import Disconnected, FrameError, LinkError
from rookery.ipc.channel import Channel
from rookery.ipc.codecs import codec_named
from rookery.ipc.sync_channel import SyncChannel

LIMIT = 2000
CODECS = ["msgpack", "json", "json-lines", "node", "text"]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
quick = settings(max_examples=150, deadline=None)


async def everything(stream, codec, cuts):
    """What a channel makes of a stream: its messages and how it ended."""
    here, there = socket.socketpair()
    here.setblocking(False)
    channel = Channel(there, codec=codec, max_message=LIMIT)
    loop = asyncio.get_running_loop()

    async def feed():
        edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
        try:
            for start, end in itertools.pairwise(edges):
                await loop.sock_sendall(here, stream[start:end])
                await asyncio.sleep(0)
        except OSError:
            pass
        here.close()

    feeding = asyncio.create_task(feed())
    found = []
    try:
        async with asyncio.timeout(10):
            while True:
                found.append(await channel.receive())
                assert channel._inbox._bytes < 10_000_000
    except LinkError as error:
        return found, error
    finally:
        await feeding
        await channel.close()


@pytest.mark.parametrize("codec", ["msgpack", "json", "json-lines", "node"])
def test_any_values_cut_anywhere(codec):
    @quick
    @given(st.lists(values, max_size=8), st.lists(st.integers(0, 1000), max_size=8))
    def check(messages, cuts):
        made = codec_named(codec)
        payloads = [made.encode(message) for message in messages]
        stream = b"".join(payloads if made.is_lines else map(frame, payloads))
        if codec == "node":
            messages = [
                one for one in messages if not (isinstance(one, dict) and str(one.get("cmd", "")).startswith("NODE_"))
            ]
        found, error = asyncio.run(everything(stream, codec, cuts))
        assert found == messages
        assert type(error) is Disconnected

    check()


@pytest.mark.parametrize("codec", CODECS)
def test_noise_ends_in_a_clear_error(codec):
    @quick
    @given(st.binary(max_size=5000), st.lists(st.integers(0, 5000), max_size=5))
    def check(noise, cuts):
        _, error = asyncio.run(everything(noise, codec, cuts))
        assert isinstance(error, LinkError)
        assert str(error)

    check()


@pytest.mark.parametrize("codec", ["msgpack", "json", "pickle"])
def test_framed_noise_ends_in_a_clear_error(codec):
    @quick
    @given(st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\xc1" + tail), max_size=5))
    def check(payloads):
        if codec == "pickle":  # real pickles would be run
            payloads = [payload for payload in payloads if not payload.startswith((b"c", b"\x80"))]
            payloads = [b"\xc2" + payload for payload in payloads]
        _, error = asyncio.run(everything(b"".join(map(frame, payloads)), codec, []))
        assert isinstance(error, LinkError)

    check()


@quick
@given(st.lists(values, min_size=1, max_size=5), st.data())
def test_a_damaged_stream_ends_in_a_clear_error(messages, data):
    stream = bytearray(b"".join(frame(msgspec.msgpack.encode(message)) for message in messages))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    _, error = asyncio.run(everything(bytes(stream), "msgpack", []))
    assert isinstance(error, LinkError)


@quick
@given(st.lists(values, min_size=1, max_size=5), st.data())
def test_a_cut_stream_gives_what_is_whole_and_says_that_it_is_cut(messages, data):
    stream = b"".join(frame(msgspec.msgpack.encode(message)) for message in messages)
    kept = data.draw(st.integers(0, len(stream)))
    found, error = asyncio.run(everything(stream[:kept], "msgpack", []))
    assert found == messages[: len(found)]
    whole = sum(len(frame(msgspec.msgpack.encode(message))) for message in found)
    assert (type(error) is Disconnected) == (whole == kept)
    if whole != kept:
        assert "inside a message" in str(error)


@quick
@given(st.binary(max_size=3000))
def test_a_blocking_channel_takes_noise_alike(noise):
    here, there = socket.socketpair()
    channel = SyncChannel(there, max_message=LIMIT)
    here.sendall(noise)
    here.close()
    with channel, pytest.raises(LinkError):
        list(iter(lambda: channel.receive(timeout=5), object()))


@pytest.mark.parametrize(
    ("codec", "stream", "says"),
    [
        ("msgpack", HEADER.pack(LIMIT + 1), "announces 2001 bytes, more than the limit of 2000"),
        ("msgpack", HEADER.pack(0xFFFFFFFF) + b"x" * 500, "announces 4294967295 bytes"),
        ("msgpack", HEADER.pack(0), "a message is no msgpack"),
        ("msgpack", frame(b"\x91" * 1900), "a message is no msgpack"),
        ("json", frame(b"[" * 1900), "a message is no json"),
        ("json", frame(b"\xc3\x28"), "a message is no json"),
        ("json-lines", b"{oops}\n", "a message is no json-lines"),
        ("json-lines", b"x" * 2100, "longer than the limit of 2000"),
        ("json-lines", b'{"$request": "one"}\n', "an envelope is malformed"),
        ("json-lines", b'"half', "ended inside a message"),
        ("text", b"\xff\n", "a message is no text"),
        ("pickle", frame(pickle.dumps(1)[:-1]), "a message is no pickle"),
        ("pickle", frame(b"\xc2\xff\xff\xff\xff"), "ends before their sizes"),
    ],
)
async def test_what_is_wrong_is_said(codec, stream, says):
    found, error = await everything(stream, codec, [])
    assert found == []
    assert isinstance(error, FrameError)
    assert says in str(error)


async def test_messages_before_a_malformed_one_are_received():
    stream = frame(b"\x01") + frame(b"\x02") + frame(b"\xc1") + frame(b"\x03")
    found, error = await everything(stream, "msgpack", [])
    assert found == [1, 2]
    assert isinstance(error, FrameError)


async def test_lines_end_with_a_newline_only():
    line = '"a\u2028b\u0085c\\rd\x0be"'
    found, _ = await everything(f"{line}\r\n\n \n{line}\n".encode().replace(b"\x0b", b"\\u000b"), "json-lines", [3, 9])
    assert found == ["a\u2028b\u0085c\rd\x0be"] * 2
