"""What ``rook up`` writes: whole lines of several streams, one place after the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import termios
import threading

import pytest

from capabilities import DEADLINE
from rookery.daemon.up import output as module
from rookery.daemon.up.output import Output
from rookery.daemon.up.voice import LONGEST, Mouth, Voice
from rookery.testing import wait_until


class Stars:
    """A maker on paper: two stars around each line."""

    def __init__(self):
        self.is_inside = False

    def make(self, data):
        made = b""
        for line in data.splitlines(keepends=True):
            made += b"" if self.is_inside else b"*"
            made += line.replace(b"\n", b"*\n")
            self.is_inside = not line.endswith(b"\n")
        return made

    def end(self):
        was_inside, self.is_inside = self.is_inside, False
        return b"*\n" if was_inside else b""


@pytest.fixture
def mouth():
    return Mouth(1)


@pytest.mark.parametrize("maker", [None, Stars])
@pytest.mark.parametrize("prefix", [b"", b"a | "])
@pytest.mark.parametrize(
    "said",
    [
        [b"one\ntwo\n"],
        [b"on", b"e\nt", b"wo\n"],
        [b"one\ntwo"],
        [b"\n\n\xff\xfe\0\r\n"],
        [b"x" * (LONGEST + 1), b"yy", b"z\nnext\n"],
        [b"x" * (LONGEST + 1)],
    ],
)
def test_each_line_gets_its_dress(mouth, prefix, maker, said):
    voice = Voice(mouth, prefix, maker and maker())
    written = b""
    for data in said:
        voice.hear(data)
        written += voice.take()
    voice.has_ended = True
    written += voice.take()
    lines = b"".join(said).removesuffix(b"\n").split(b"\n")
    star = b"*" if maker else b""
    assert written == b"".join(prefix + star + line + star + b"\n" for line in lines)
    assert mouth.speaker is None


def test_nobody_speaks_into_a_long_line_and_who_waits_too_long_ends_it(mouth):
    one, two = Voice(mouth, b"1 ", Stars()), Voice(mouth, b"2 ", None)
    one.hear(b"x" * (LONGEST + 1))
    two.hear(b"unfinished")
    assert one.take() == b"1 *" + b"x" * (LONGEST + 1)
    assert not two.must_wait  # it has nothing to say yet
    two.hear(b"\n")
    assert two.must_wait
    one.hear(b"y")
    assert one.take() == b"y"
    assert two.interrupt() == b"*\n"
    assert not two.must_wait
    assert two.take() == b"2 unfinished\n"
    one.hear(b"rest\n")
    assert one.take() == b"1 *rest*\n"


class World:
    """An Output into two pipes; their reading ends are read by threads unless told otherwise."""

    def __init__(self, *, same=False):
        self.reading, writing = zip(os.pipe(), os.pipe(), strict=True)
        self.files = [os.fdopen(fd, "wb", buffering=0) for fd in writing]
        self.unread = threading.Event()
        self.output = Output(self.files[0], self.files[0 if same else 1], self.unread.set)
        self.output.start()
        self.read = [bytearray(), bytearray()]
        self.threads = []

    def listen(self):
        for fd, buffer in zip(self.reading, self.read, strict=True):
            self.threads.append(threading.Thread(target=self._listen, args=(fd, buffer)))
            self.threads[-1].start()

    @staticmethod
    def _listen(fd, buffer):
        while data := os.read(fd, 1 << 16):
            buffer.extend(data)

    def finish(self):
        self.output.close()
        for file in self.files:
            file.close()
        if not self.threads:
            self.listen()
        for thread in self.threads:
            thread.join(DEADLINE)
        return bytes(self.read[0]), bytes(self.read[1])

    def close(self):
        for file in self.files:
            file.close()
        for fd in self.reading:
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def write(fd, data):
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def waiting_in(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_what_is_said_comes_out_where_it_belongs(world):
    for number, name in ((1, "a"), (2, "b")):
        write(world.output.pipe(number, f"{name} | "), f"from {name}\nand more".encode())
    assert world.finish() == (b"a | from a\na | and more\n", b"b | from b\nb | and more\n")


def test_a_line_of_50_mb_and_a_writer_at_full_speed_beside_it(world):
    world.listen()
    long = world.output.pipe(1, "long | ")
    fast = world.output.pipe(1, "fast | ")
    lines = b"".join(b"%d\n" % number for number in range(300_000))
    threads = [
        threading.Thread(target=write, args=(long, b"\xff" * 50_000_000 + b"\nend\n")),
        threading.Thread(target=write, args=(fast, lines)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    out, _ = world.finish()
    seen = out.splitlines(keepends=True)
    assert [line for line in seen if line.startswith(b"long | ")] == [
        b"long | " + b"\xff" * 50_000_000 + b"\n",
        b"long | end\n",
    ]
    assert b"".join(line.removeprefix(b"fast | ") for line in seen if line.startswith(b"fast | ")) == lines


def test_a_line_that_does_not_end_does_not_keep_others_for_ever(world, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    world.listen()
    long, other = world.output.pipe(1, "long | "), world.output.pipe(1, "")
    os.write(long, b"x" * 60_000)
    for _ in range(LONGEST // 60_000):
        os.write(long, b"x" * 60_000)
    wait_until(lambda: len(world.read[0]) > LONGEST, DEADLINE, "the beginning of the long line")
    os.write(other, b"other\n")
    wait_until(lambda: world.read[0].endswith(b"x\nother\n"), DEADLINE, "the other one")
    os.close(other)
    write(long, b"rest")
    assert world.finish()[0].endswith(b"x\nother\nlong | rest\n")


def test_stdout_and_stderr_may_be_one_place():
    world = World(same=True)
    world.listen()
    out, err = world.output.pipe(1, ""), world.output.pipe(2, "")
    write(err, b"y" * (LONGEST * 2) + b"\n")
    write(out, b"short\n" * 10_000)
    seen, _ = world.finish()
    world.close()
    assert sorted(set(seen.splitlines())) == [b"short", b"y" * (LONGEST * 2)]


def test_a_reader_who_is_slow_gets_everything_before_the_end(world):
    fcntl.fcntl(world.reading[0], fcntl.F_SETPIPE_SZ, 4096)
    data = b"line\n" * 100_000
    writing = world.output.pipe(1, "")
    thread = threading.Thread(target=write, args=(writing, data))
    thread.start()
    world.output.close(0.05)  # who cannot wait does not wait
    assert thread.is_alive()
    assert world.output._thread.is_alive()
    world.listen()
    assert world.finish()[0] == data
    thread.join()


def test_our_own_output_may_have_been_made_non_blocking(world):
    os.set_blocking(world.files[0].fileno(), False)
    data = b"line\n" * 100_000
    thread = threading.Thread(target=write, args=(world.output.pipe(1, ""), data))
    thread.start()
    wait_until(lambda: waiting_in(world.reading[0]) > 32_000, DEADLINE, "a full pipe")
    world.listen()
    thread.join(DEADLINE)
    assert world.finish()[0] == data


def test_nobody_reads_any_more(world):
    os.close(world.reading[0])
    write(world.output.pipe(1, ""), b"in vain\n")
    assert world.unread.wait(DEADLINE)
    world.output.close()
