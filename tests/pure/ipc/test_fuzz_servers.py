"""Noise for servers, hubs and the handshake: the one who makes it is thrown out, and everybody else is served."""

import asyncio
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capabilities import DEADLINE
from rookery._base.framing import HEADER, frame
from rookery.errors import LinkError, NotTrusted, RookeryError
from rookery.ipc import handshake
from rookery.ipc.channel import Channel
from rookery.ipc.codecs import codec_named
from rookery.ipc.connect import connect_tcp, connect_unix
from rookery.ipc.envelope import Envelope
from rookery.ipc.hub import Hub
from rookery.ipc.server import serve_tcp, serve_text, serve_unix

SECRET = "correct horse battery staple"
LIMIT = 2000
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
noises = st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4)
headers = st.integers(0, 2**32 - 1).map(HEADER.pack)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(handshake, "TIMEOUT", 0.2)


async def echo(channel):
    channel.on("double", lambda message: message["n"] * 2)
    async for message in channel:
        await channel.send(message)


async def thrown_out(address, noise):
    """Say it, and read until the server hangs up; that it does is the test."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    loop = asyncio.get_running_loop()
    with socket.socket(family) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        try:
            for piece in noise:
                await loop.sock_sendall(sock, piece)
            sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(DEADLINE):
                while await loop.sock_recv(sock, 65536):
                    pass
        except OSError:  # it did not even listen to the end
            pass


async def quiet(server):
    async with asyncio.timeout(DEADLINE):
        while server.channels or server._strangers:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("codec", ["msgpack", "json", "json-lines", "pickle", "node"])
def test_a_unix_server(tmp_path, codec):
    path = str(tmp_path / "s.sock")

    async def talk(noise):
        async with await serve_unix(path, echo, codec=codec, max_message=LIMIT) as server:
            async with await connect_unix(path, codec=codec) as good:
                await thrown_out(path, [b"\xff", *noise])
                assert await good.request({"type": "double", "n": 2}) == 4
            await quiet(server)

    @quick
    @given(noises | st.lists(headers, max_size=3))
    def check(noise):
        asyncio.run(talk(noise))

    check()


@quick
@given(noises | st.lists(headers, max_size=3) | st.lists(st.binary(max_size=140).map(frame), max_size=3))
def test_a_tcp_server_before_it_knows_who_is_there(noise):
    async def talk():
        async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET) as server:
            await thrown_out(server.address, noise)
            assert not server.channels
            async with await connect_tcp(*server.address, secret=SECRET) as good:
                assert await good.request({"type": "double", "n": 2}) == 4
            await quiet(server)

    asyncio.run(talk())


@quick
@given(noises)
def test_a_tcp_server_that_knows_who_is_there(noise):
    """He who has the secret may still talk nonsense."""

    async def talk():
        async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET, max_message=LIMIT) as server:
            loop = asyncio.get_running_loop()
            with socket.create_connection(server.address) as sock:
                sock.setblocking(False)
                await handshake.introduce(sock, SECRET.encode(), "msgpack")
                await loop.sock_sendall(sock, b"\xff" + b"".join(noise))
                sock.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(DEADLINE):
                    try:
                        while await loop.sock_recv(sock, 65536):
                            pass
                    except ConnectionResetError:
                        pass
            await quiet(server)

    asyncio.run(talk())


@quick
@given(noises | st.lists(headers, max_size=3) | st.lists(st.binary(max_size=140).map(frame), max_size=3))
def test_a_client_of_something_that_is_no_server(noise):
    async def talk():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)

            async def answer():
                sock, _ = await loop.sock_accept(listening)
                with sock:
                    try:
                        for piece in noise:
                            await loop.sock_sendall(sock, piece)
                    except OSError:
                        pass

            answering = asyncio.create_task(answer())
            with pytest.raises((RookeryError, OSError)) as caught:
                await connect_tcp(*listening.getsockname(), secret=SECRET)
            assert str(caught.value)
            await answering

    asyncio.run(talk())


async def test_a_proof_that_was_overheard_is_worth_nothing():
    """Replayed word for word: the server's random bytes are others now."""
    async with await serve_tcp("127.0.0.1", 0, echo, secret=SECRET) as server:
        loop = asyncio.get_running_loop()
        with socket.create_connection(server.address) as sock:
            sock.setblocking(False)
            greeting = await handshake._hear(sock)
            theirs, ours = greeting[len(handshake._GREETING) :][:32], b"c" * 32
            proof = ours + handshake._proof(SECRET.encode(), b"client", theirs, ours, "msgpack")
            await handshake._say(sock, proof)
            await handshake._hear(sock)  # it is good here
        with socket.create_connection(server.address) as sock:
            sock.setblocking(False)
            await handshake._hear(sock)
            await handshake._say(sock, proof)
            assert await loop.sock_recv(sock, 1) == b""
        with pytest.raises(NotTrusted):
            await connect_tcp(*server.address, secret=SECRET[::-1])


@quick
@given(st.lists(st.binary(max_size=400), min_size=1, max_size=5))
def test_a_text_server(noise):
    async def talk():
        async with await serve_text(echo, max_line=300) as server:
            await thrown_out(server.address, noise)
            await quiet(server)

    asyncio.run(talk())


bodies = st.recursive(
    st.none() | st.integers() .filter(lambda n: abs(n) < 2**63) | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: st.dictionaries(
        st.sampled_from(["type", "to", "assign", "timeout", "message"]), inner | st.sampled_from(["hub.task", "b"])
    ),
    max_leaves=8,
)  # fmt: skip


@quick
@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 4), bodies | st.fixed_dictionaries(
            {"type": st.sampled_from(["hub.task", "hub.broadcast", "hub.members"])},
            optional=dict.fromkeys(["to", "assign", "timeout", "message"], bodies),
        )).map(lambda parts: frame(codec_named("msgpack").pack(Envelope(*parts))[0])),
        max_size=6,
    ),
    st.binary(max_size=50),
)  # fmt: skip
def test_a_hub(envelopes, noise):
    """A member that talks nonsense, in whole envelopes and then not: the others work on."""

    async def talk():
        here, there = socket.socketpair()
        here.setblocking(False)
        async with Hub(health=None, task_timeout=0.2) as hub:
            ours, b = Channel.pair()
            b.on("who", lambda _: "b")
            b.on("*", lambda _: None)
            bad = Channel(there)
            hub.join("a", bad)
            hub.join("b", ours)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(here, b"".join(envelopes) + b"\xff" + noise)
            here.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(DEADLINE):
                assert isinstance(await bad.wait_closed(), LinkError)
            assert await hub.request({"type": "who"}, to="b") == "b"
            assert list(hub.members) == ["b"]
        for channel in (bad, ours, b):
            await channel.close()
        here.close()

    asyncio.run(talk())
