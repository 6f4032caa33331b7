import array
import asyncio
import fcntl
import os
import pickle
import resource
import socket
from contextlib import suppress

import pytest

from capabilities import needs_linux
from rookery._base.framing import frame
from rookery.errors import ChannelTimeout, Disconnected, FrameError, UsageError
from rookery.ipc.arrived import WithFds
from rookery.ipc.channel import Channel
from rookery.ipc.codec_pickle import Pickle
from rookery.ipc.envelope import MESSAGE, Envelope
from rookery.ipc.stdio_channel import StdioChannel
from rookery.ipc.sync_channel import SyncChannel


@pytest.fixture(params=["msgpack", "json", "pickle"])
def codec(request):
    return request.param


def pipe_with(text):
    """The reading end of a pipe that holds a text."""
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return reading


def said(fd):
    with os.fdopen(fd, "rb") as file:
        return file.read()


async def test_descriptors_come_with_their_own_message(codec):
    ours, theirs = Channel.pair(codec=codec)
    async with ours, theirs:
        for number in range(20):
            fds = [pipe_with(b"%d.%d" % (number, part)) for part in range(number % 3)]
            await ours.send(["x" * 50_000, number], fds=fds)
            for fd in fds:
                os.close(fd)  # the channel has copies
            if number % 5 == 0:
                await ours.send("between")
        for number in range(20):
            message, fds = await theirs.receive_with_fds()
            assert message[1] == number
            assert [said(fd) for fd in fds] == [b"%d.%d" % (number, part) for part in range(number % 3)]
            if number % 5 == 0:
                assert await theirs.receive() == "between"


async def test_an_open_file_and_a_socket_work_on_the_other_side(tmp_path):
    ours, theirs = Channel.pair()
    async with ours, theirs:
        fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        await ours.send("file", fds=[fd])
        got = await theirs.receive_with_fds()
        assert not os.get_inheritable(got.fds[0])
        with os.fdopen(got.fds[0], "w") as copy:
            copy.write("hello")
        assert os.pread(fd, 10, 0) == b"hello"
        os.close(fd)


async def test_requests_and_answers_bring_descriptors():
    ours, theirs = Channel.pair()

    async def swap(_message, call):
        assert said(call.take()[0]) == b"there"
        return WithFds("back", [pipe_with(b"back")])

    async with ours, theirs:
        theirs.on("swap", swap, with_call=True)
        fd = pipe_with(b"there")
        got = await ours.request_with_fds({"type": "swap"}, fds=[fd])
        os.close(fd)
        assert (got.message, said(got.fds[0])) == ("back", b"back")


@pytest.mark.parametrize(
    "how", ["received without", "never received", "not taken", "nobody handles", "late answer", "text"]
)
async def test_descriptors_that_nobody_wants_are_closed(how):
    ours, theirs = Channel.pair(codec="pickle")
    fd = pipe_with(b"")
    async with ours, theirs:
        if how == "received without":
            await ours.send(1, fds=[fd])
            assert await theirs.receive() == 1
        elif how == "never received":
            await ours.send(1, fds=[fd, fd])
            await ours.ping()
        elif how == "not taken":
            theirs.on("*", lambda _, call: len(call.fds), with_call=True)
            assert await ours.request(1, fds=[fd, fd]) == 2
        elif how == "nobody handles":
            with pytest.raises(Exception, match="nobody"):
                await ours.request(1, fds=[fd])
        elif how == "late answer":
            answered = asyncio.Event()

            async def too_late(_):
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                answered.set()
                return WithFds(1, [os.dup(fd)])

            theirs.on("*", too_late)
            with pytest.raises(ChannelTimeout):
                await ours.request(1, timeout=0.01)
            await answered.wait()
            await ours.ping()
        else:
            with pytest.raises(UsageError):
                await ours.send(lambda: None, fds=[fd])
            with pytest.raises(UsageError, match="more than the 250"):
                await ours.send(1, fds=[fd] * 251)
            with pytest.raises(OSError, match="Bad file"):
                await ours.send(1, fds=[fd, 987_654])
    os.close(fd)  # the leak check of every test looks for the rest


async def test_descriptors_that_wait_to_be_sent_are_closed_with_the_channel():
    ours, theirs = Channel.pair()
    theirs._pause()
    fd = pipe_with(b"")
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while True:
                await ours.send("x" * 10_000, fds=[fd])
    os.close(fd)
    await ours.close(linger=0)
    with pytest.raises(Disconnected):
        await ours.send(1, fds=[0])
    await theirs.close()


async def test_descriptors_that_no_message_announced_end_the_channel():
    here, there = socket.socketpair()
    fd = pipe_with(b"")
    theirs = Channel(there)
    async with theirs:
        socket.send_fds(here, [b"\0\0\0\1\1"], [fd])
        with pytest.raises(FrameError, match="no message announced"):
            await asyncio.wait_for(_second(theirs), 5)
    os.close(fd)
    here.close()


async def _second(channel):
    assert await channel.receive() == 1
    await channel.receive()


@needs_linux
async def test_descriptors_for_which_there_is_no_room_end_the_channel():
    here, there = socket.socketpair()
    fd = pipe_with(b"")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with Channel(there) as theirs:
        socket.send_fds(here, [frame(b"\xc1" + theirs._codec.encode([0, 0, 1, 100]))], [fd] * 100)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, before[1]))
        try:
            with pytest.raises(FrameError, match="descriptors were lost") as caught:
                await theirs.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert "ulimit" in caught.value.hint
    os.close(fd)
    here.close()


async def test_descriptors_that_did_not_come_end_the_channel():
    ours, theirs = Channel.pair()
    async with ours, theirs:
        ours._writer.put(b"\xc1" + ours._codec.encode([0, 0, "x", 2]))
        with pytest.raises(FrameError, match="2 descriptors were announced, 0 came"):
            await theirs.receive()


async def test_big_buffers_travel_beside_and_are_writable():
    ours, theirs = Channel.pair(codec="pickle", max_message=100_000)
    async with ours, theirs:
        sent = [
            pickle.PickleBuffer(bytearray(b"ab" * 1_000_000)),
            "x",
            pickle.PickleBuffer(array.array("q", range(300_000))),
        ]
        await ours.send(sent)
        first, text, second = await theirs.receive()
        assert bytes(first) == b"ab" * 1_000_000
        assert text == "x"
        assert array.array("q", bytes(second)) == array.array("q", range(300_000))
        memoryview(first)[:2] = b"zz"
        assert bytes(sent[0].raw()[:2]) == b"ab"
        fd = pipe_with(b"also")
        await ours.send(sent, fds=[fd])
        os.close(fd)
        message, fds = await theirs.receive_with_fds()
        assert (len(bytes(message[0])), said(fds[0])) == (2_000_000, b"also")
        theirs.on(list, lambda message: len(bytes(message[0])))
        assert await ours.request(sent) == 2_000_000


async def test_where_memory_cannot_be_passed_buffers_are_part_of_the_message():
    ours, theirs = StdioChannel.pair(codec="pickle")
    async with ours, theirs:
        await ours.send(pickle.PickleBuffer(bytearray(b"z" * 1_000_000)))
        assert bytes(await theirs.receive()) == b"z" * 1_000_000


async def test_buffers_are_bounded_on_both_sides():
    here, there = socket.socketpair()
    ours, theirs = (
        Channel(here, codec=Pickle(most_beside=10_000_000)),
        Channel(there, codec=Pickle(most_beside=500_000)),
    )
    async with ours, theirs:
        with pytest.raises(UsageError, match="more than the 10000000"):
            await ours.send(pickle.PickleBuffer(bytearray(10_000_001)))
        await ours.send(pickle.PickleBuffer(bytearray(1_000_000)))
        with pytest.raises(FrameError, match="more than the limit of 500000"):
            await theirs.receive()


@pytest.mark.parametrize("sealed", [True, False])
async def test_memory_that_could_be_cut_or_is_too_short_is_refused(sealed):
    ours, theirs = Channel.pair(codec="pickle")
    codec = Pickle()
    codec.passes_fds = True
    payload, (real,) = codec.pack(Envelope(MESSAGE, 0, pickle.PickleBuffer(bytearray(300_000))))
    os.close(real)
    fake = os.memfd_create("fake", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fake, 100 if sealed else 300_032)
    if sealed:
        fcntl.fcntl(fake, 1033, 2)
    async with ours, theirs:
        ours._writer.put(payload, [fake])
        with pytest.raises(FrameError, match="not all there"):
            await theirs.receive()


def test_blocking_ends_pass_descriptors(codec):
    ours, theirs = SyncChannel.pair(codec=codec)
    with ours, theirs:
        fd = pipe_with(b"there")
        ours.send(1, fds=[fd])
        ours.send(2, fds=[fd])
        ours.send(3, fds=[fd])
        os.close(fd)
        message, fds = theirs.receive_with_fds()
        assert (message, said(fds[0])) == (1, b"there")
        assert theirs.receive() == 2
