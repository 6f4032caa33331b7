"""What somebody announces costs nothing; what he sends costs no more than the limit."""

import asyncio
import socket
import tracemalloc

import pytest

from rookery._base.framing import HEADER, MAX_FRAME, FrameReader
from rookery.errors import FrameError, LinkError
from rookery.ipc.channel import Channel
from rookery.ipc.lines import LineReader
from rookery.ipc.sync_channel import SyncChannel

MB = 1024 * 1024


class Peak:
    """``with Peak() as peak``: peak.bytes are what was allocated in it at most."""

    def __enter__(self):
        tracemalloc.start()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_):
        self.bytes = tracemalloc.get_traced_memory()[1] - self._before
        tracemalloc.stop()


async def sent_to_channel(data, size, codec, limit):
    here, there = socket.socketpair()
    here.setblocking(False)
    channel = Channel(there, codec=codec, max_message=limit)
    receiving = asyncio.create_task(channel.receive())
    loop = asyncio.get_running_loop()
    with here:
        try:
            for _ in range(size // len(data)):
                await loop.sock_sendall(here, data)
        except OSError:
            pass
        await asyncio.sleep(0)
        here.close()
        with pytest.raises(LinkError) as caught:
            await receiving
    await channel.close()
    return caught.value


@pytest.mark.parametrize("codec", ["msgpack", "json", "pickle"])
@pytest.mark.parametrize("claimed", [2 * 1024 * MB, 2**32 - 1])
async def test_a_header_that_claims_gigabytes(codec, claimed):
    with Peak() as peak:
        error = await sent_to_channel(HEADER.pack(claimed), 4, codec, MAX_FRAME)
    assert isinstance(error, FrameError)
    assert f"announces {claimed} bytes" in str(error)
    assert peak.bytes < MB


async def test_a_header_within_a_huge_limit_gets_memory_as_the_message_comes():
    with Peak() as peak:
        error = await sent_to_channel(HEADER.pack(2 * 1024 * MB), 4, "msgpack", 4 * 1024 * MB - 1)
    assert "ended inside a message" in str(error)
    assert peak.bytes < 3 * MB
    with Peak() as peak:
        error = await sent_to_channel(
            HEADER.pack(2 * 1024 * MB) + b"x" * (8 * MB), 8 * MB + 4, "msgpack", 4096 * MB - 1
        )
    assert 8 * MB < peak.bytes < 48 * MB  # the sender's own 8 MB, and twice the received as the buffer grows


def test_a_large_frame_is_whole_and_the_next_ones_grow_no_more():
    reader, payload = FrameReader(limit=64 * MB), bytes(range(256)) * (40 * MB // 256)
    for _ in range(2):
        stream, at, whole, grown = memoryview(HEADER.pack(len(payload)) + payload), 0, [], set()
        while at < len(stream):
            room = reader.room()
            grown.add(len(reader._view))
            count = min(len(room), len(stream) - at, 256 * 1024)
            room[:count] = stream[at : at + count]
            at += count
            whole += map(bytes, reader.cut(count))
        assert whole == [payload]
        assert reader.partial == 0
    assert len(grown) == 2  # at once, from what the first one has shown
    assert len(reader.room()) < MB


@pytest.mark.parametrize("codec", ["json-lines", "node", "text"])
async def test_a_line_without_an_end_stops_at_the_limit(codec):
    with Peak() as peak:
        error = await sent_to_channel(b"x" * 65536, 256 * MB, codec, MB)
    assert isinstance(error, FrameError)
    assert f"longer than the limit of {MB}" in str(error)
    assert peak.bytes < 6 * MB


def test_lines_keep_no_more_than_the_limit():
    reader = LineReader(limit=1000)
    room = reader.room()
    room[:600] = b"x" * 600
    assert list(reader.cut(600)) == []
    room = reader.room()
    room[:600] = b"x" * 600
    with pytest.raises(FrameError, match="longer than the limit"):
        list(reader.cut(600))
    assert reader.partial == 0


@pytest.mark.parametrize(
    "bomb", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xdb" * 5]
)
def test_a_payload_that_claims_gigabytes(bomb):
    """Arrays, maps, bytes and texts of msgpack with more in them than the message has."""
    here, there = socket.socketpair()
    with here, SyncChannel(there) as channel, Peak() as peak:
        here.sendall(HEADER.pack(len(bomb)) + bomb)
        with pytest.raises(FrameError, match="no msgpack"):
            channel.receive(timeout=20)
    assert peak.bytes < MB


async def test_a_flood_that_nobody_receives_is_not_read():
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, Peak() as peak:
        channel = Channel(there)
        sent = 0
        for _ in range(2000):
            try:
                sent += here.send(b"\x00\x00\x00\x01\x05" * 10_000)
            except BlockingIOError:
                await asyncio.sleep(0)
                if channel._is_paused:
                    break
        assert channel._is_paused
        assert len(channel._queue) < 40_000
        await channel.close()
    assert peak.bytes < 8 * MB
