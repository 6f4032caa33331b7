"""Messages to an app: all of it or nothing."""

from __future__ import annotations

import os

import pytest

from capabilities import needs_linux
from rookery import errors
from rookery.daemon.manager.pipes import PIPE_BUF, Stdin, make_pipe

pytestmark = needs_linux


@pytest.fixture
def stdin(tmp_path):
    stdin = Stdin()
    stdin.take(make_pipe(str(tmp_path / "in"), None, None))
    yield stdin
    stdin.close()


def test_a_message_arrives_whole_and_the_app_keeps_its_blocking_pipe(stdin):
    stdin.write(b"x" * PIPE_BUF)
    assert os.read(stdin.fd, 10 * PIPE_BUF) == b"x" * PIPE_BUF
    assert os.get_blocking(stdin.fd)


def test_a_full_pipe_takes_nothing_of_it(stdin):
    def fill():
        for _ in range(10_000):
            stdin.write(b"y" * 1000)

    with pytest.raises(errors.OperationFailed, match="does not read"):
        fill()
    size = len(os.read(stdin.fd, 1 << 20))
    assert size
    assert size % 1000 == 0


def test_what_cannot_be_one_piece_is_refused(stdin):
    with pytest.raises(errors.UsageError, match="4096"):
        stdin.write(b"z" * (PIPE_BUF + 1))


def test_without_a_pipe_the_key_is_named():
    with pytest.raises(errors.UsageError) as caught:
        Stdin().write(b"x")
    assert 'stdin = "pipe"' in caught.value.hint
