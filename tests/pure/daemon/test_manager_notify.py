"""What an app says on its notify socket."""

from __future__ import annotations

import asyncio
import os
import socket
import stat

import pytest

from capabilities import needs_linux
from rookery.process.notify import Notify, make_socket

pytestmark = needs_linux


@pytest.fixture
async def heard(tmp_path):
    """(say, what was heard); say(bytes, *fds) waits until it has been read."""
    words = []
    sock, address = make_socket(str(tmp_path / "n"), "4.1", "0badcafe", None)
    notify = Notify(sock, address, {os.geteuid()}, words.append)
    mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    async def say(data, *fds):
        mouth.connect(address)
        socket.send_fds(mouth, [data], fds) if fds else mouth.send(data)
        mark = len(words)
        mouth.send(b"MARK=1")
        async with asyncio.timeout(10):
            while len(words) == mark or "MARK" not in words[-1]:  # noqa: ASYNC110 - the socket is what is waited for
                await asyncio.sleep(0.001)
        words.pop()

    yield say, words
    mouth.close()
    notify.close(unlink=True)
    assert os.listdir(tmp_path / "n") == []


async def test_words(heard):
    say, words = heard
    await say(b"READY=1\nSTATUS=all=well\n\nnonsense")
    assert words == [{"READY": "1", "STATUS": "all=well"}]


async def test_what_is_no_text_is_no_harm(heard):
    say, words = heard
    await say(b"STATUS=\xff\xfe")
    assert words == [{"STATUS": "\ufffd\ufffd"}]


async def test_a_barrier_is_closed_when_it_is_read(heard):
    say, _ = heard
    reading, writing = os.pipe()
    await say(b"BARRIER=1", writing)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the copy that was sent is closed too
    os.close(reading)


async def test_mode_and_long_paths(tmp_path):
    sock, address = make_socket(str(tmp_path / "n"), "4.1", "0badcafe", None)
    assert stat.S_IMODE(os.stat(address).st_mode) == 0o600
    sock.close()
    os.unlink(address)
    sock, address = make_socket(str(tmp_path / ("n" * 150)), "4.1", "0badcafe", None)
    assert address == "@rookery/0badcafe/4.1"
    sock.close()
