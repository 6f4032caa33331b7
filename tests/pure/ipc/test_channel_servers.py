import asyncio
import os
import socket
import stat

import pytest

from capabilities import needs_linux
from rookery._base.framing import frame
from rookery.errors import Disconnected, FrameError, LinkError, NotTrusted, UsageError
from rookery.ipc import handshake, server
from rookery.ipc.channel import Channel
from rookery.ipc.connect import connect_tcp, connect_unix
from rookery.ipc.server import serve_tcp, serve_text, serve_unix

SECRET = "correct horse battery staple"


async def echo(channel):
    channel.on("double", lambda message: message["n"] * 2)
    async for message in channel:
        await channel.send(message)


@pytest.mark.parametrize("length", [0, 150])
async def test_a_unix_server_is_private_and_talks(tmp_path, length):
    folder = tmp_path / ("d" * length)
    folder.mkdir(exist_ok=True)
    path = str(folder / "s.sock")
    async with await serve_unix(path, echo) as listening:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        channels = [await connect_unix(path) for _ in range(5)]
        for number, channel in enumerate(channels):
            await channel.send(number)
            assert await channel.receive() == number
            assert await channel.request({"type": "double", "n": number}) == 2 * number
        assert len(listening.channels) == 5
        with pytest.raises(UsageError, match=r"listens on .* already"):
            await serve_unix(path, echo)
        for channel in channels[1:]:
            await channel.close()
    with pytest.raises(Disconnected):
        await channels[0].receive()
    await channels[0].close()
    assert not os.path.exists(path)


@needs_linux
async def test_the_mode_is_right_at_birth(tmp_path, monkeypatch):
    monkeypatch.setattr(server.os, "chmod", lambda *_: pytest.fail("it was open to others for a moment"))
    before = os.umask(0)
    try:
        async with await serve_unix(str(tmp_path / "s.sock"), echo):
            assert stat.S_IMODE(os.stat(tmp_path / "s.sock").st_mode) == 0o600
    finally:
        os.umask(before)


async def test_the_socket_of_a_dead_server_is_replaced(tmp_path):
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    async with await serve_unix(path, echo), await connect_unix(path) as channel:
        await channel.send(1)
        assert await channel.receive() == 1


async def test_other_users_may_not_talk(tmp_path):
    path = str(tmp_path / "s.sock")
    stranger = os.geteuid() + 1
    async with await serve_unix(path, echo, uids=[stranger]), await connect_unix(path) as channel:
        with pytest.raises(Disconnected):
            await channel.receive()
    async with await serve_unix(path, echo):
        with pytest.raises(NotTrusted, match="may not talk here"):
            await connect_unix(path, uids=[stranger])


async def test_tcp_with_the_same_secret_talks():
    async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET) as listening:
        host, port = listening.address
        async with await connect_tcp(host, port, secret=SECRET) as channel:
            await channel.send(b"x" * 1_000_000)
            assert len(await channel.receive()) == 1_000_000
            assert await channel.request({"type": "double", "n": 3}) == 6


async def test_tcp_refuses_what_does_not_know_the_secret():
    async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET) as listening:
        host, port = listening.address
        with pytest.raises(NotTrusted, match="refused the secret"):
            await connect_tcp(host, port, secret=SECRET + "r")
        with pytest.raises(UsageError, match="speaks 'msgpack'"):
            await connect_tcp(host, port, secret=SECRET, codec="json")
        with pytest.raises(UsageError, match="16 are the fewest"):
            await connect_tcp(host, port, secret="short")
        assert listening.channels == frozenset()
    with pytest.raises(UsageError, match="16 are the fewest"):
        await serve_tcp("127.0.0.1", 0, echo, secret="")


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 1000,
        frame(b"x" * 64),
        frame(b"x" * 200),
        frame(b""),
        frame(b"y" * 64) * 9,
    ],
)
async def test_a_stranger_gets_the_greeting_and_nothing_else(says, monkeypatch):
    monkeypatch.setattr(handshake, "TIMEOUT", 0.2)
    talked = []

    async def talk(channel):
        talked.append(channel)

    async with await serve_tcp("127.0.0.1", 0, talk, secret=SECRET) as listening:
        reader, writer = await asyncio.open_connection(*listening.address)
        writer.write(says)
        try:
            everything = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            everything = b""
        writer.close()
        assert len(everything) in (0, 4 + 8 + 32 + len("msgpack"))
        assert talked == []


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"", Disconnected),
        (b"SSH-2.0-OpenSSH_9.2\r\n", FrameError),
        (frame(b"hello"), NotTrusted),
        (frame(b"rookery1" + b"x" * 32 + b"msgpack") + frame(b"z" * 32), NotTrusted),
    ],
)
async def test_a_client_does_not_trust_a_server_without_the_secret(greeting, error):
    ended = asyncio.Event()

    async def play(reader, writer):
        writer.write(greeting)
        if len(greeting) > 60:
            await reader.read(100)
        writer.close()
        ended.set()

    impostor = await asyncio.start_server(play, "127.0.0.1", 0)
    async with impostor:
        with pytest.raises(error):
            await connect_tcp(*impostor.sockets[0].getsockname()[:2], secret=SECRET)
        await ended.wait()
        await asyncio.sleep(0.01)  # its transport closes in the loop's next turns


async def test_a_client_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(handshake, "TIMEOUT", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(LinkError, match="did not greet within"):
            await connect_tcp(*silent.getsockname(), secret=SECRET)


async def test_strangers_are_bounded(monkeypatch):
    monkeypatch.setattr(server, "_MOST_STRANGERS", 3)
    async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET) as listening:
        held = [await asyncio.open_connection(*listening.address) for _ in range(3)]
        for reader, _ in held:
            await reader.readexactly(4)
        late, writer = await asyncio.open_connection(*listening.address)
        assert await late.read() == b""
        for _, one in [*held, (late, writer)]:
            one.close()


async def test_connections_are_bounded(tmp_path):
    path = str(tmp_path / "s.sock")
    async with await serve_unix(path, echo, max_connections=1), await connect_unix(path) as first:
        await first.send(1)
        assert await first.receive() == 1
        async with await connect_unix(path) as second:
            with pytest.raises(LinkError):
                await second.receive()


async def test_lines_of_text_on_this_machine():
    async def shout(channel):
        async for line in channel:
            await channel.send(line.upper())

    async with await serve_text(shout, max_line=100) as listening:
        reader, writer = await asyncio.open_connection(*listening.address)
        writer.write(b"hello\r\nw\xc3\xb6rld\n")
        assert await reader.readline() == b"HELLO\n"
        assert await reader.readline() == "WÖRLD\n".encode()
        writer.write(b"x" * 200)
        assert await reader.read() == b""
        writer.close()
    with pytest.raises(UsageError, match="on this machine only"):
        await serve_text(shout, host="0.0.0.0")


async def test_a_talk_that_fails_ends_its_channel_only(tmp_path):
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))

    async def fails(channel):
        raise KeyError(await channel.receive())

    path = str(tmp_path / "s.sock")
    async with await serve_unix(path, fails):
        for _ in range(2):
            async with await connect_unix(path) as channel:
                await channel.send(1)
                assert isinstance(await channel.wait_closed(), Disconnected)
    assert [type(report) for report in reports] == [KeyError, KeyError]


async def test_descriptors_over_tcp_are_refused():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        here = socket.create_connection(listening.getsockname())
        there, _ = listening.accept()
        async with Channel(here) as ours, Channel(there):
            with pytest.raises(UsageError, match="Unix sockets"):
                await ours.send(1, fds=[0])
