"""A follower against whatever may happen to the files of a log, in any order."""

from __future__ import annotations

import os
import tempfile

from hypothesis import example, given, settings
from hypothesis import strategies as st
from written import append, pack, rotate

from rookery.logs.cursor import pack_positions, unpack_positions
from rookery.logs.follow import Follower
from rookery.logs.position import BEGINNING

KEEP = 3
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 90)),
        st.tuples(st.just("write"), st.integers(0, 90)),
        st.tuples(
            st.sampled_from(["rotate", "rotate", "pack", "flush", "read", "read_all", "resume", "close"]), st.just(0)
        ),
    ),
    max_size=60,
)


class Log:
    """The files of a log, and which lines are in those that are still there."""

    def __init__(self, path):
        self.path = path
        self.files = [[]]
        self.sent = []
        self.is_flushed = False
        self.now = 10**18

    def tick(self):
        """Let each change have a time of its own, as it has where computers are not faster than their clocks."""
        self.now += 10**7
        os.utime(self.path, ns=(self.now, self.now))

    def write(self, length):
        line = b"%d %s" % (len(self.sent), b"y" * length)
        append(self.path, line[:3])
        append(self.path, line[3:] + b"\n")
        self.tick()
        self.sent.append(line)
        self.files[-1].append(line)

    def rotate(self):
        if os.path.exists(self.path) and os.stat(self.path).st_size:
            rotate(self.path, KEEP)
            append(self.path, b"")  # as writers do at once
            self.tick()
            self.files = [*self.files, []][-KEEP - 1 :]

    def pack(self):
        for number in range(2, KEEP + 1):
            pack(self.path, number)

    def flush(self):
        self.is_flushed = True
        for number in range(KEEP + 1):
            for name in (f"{self.path}.{number}" if number else self.path, f"{self.path}.{number}.gz"):
                if os.path.exists(name):
                    os.unlink(name)
        append(self.path, b"")
        self.tick()
        self.files = [[]]


def all_of(follower):
    lines = []
    while more := follower.poll():
        lines += more
    return lines


# The newest file has the inode of the one that was read last and is gone, where the file system gives them out anew.
INODE_AGAIN = ["write", "read", "write", "rotate", "resume", *["write", "rotate"] * 3]


@settings(max_examples=400)
@given(steps=steps)
@example(steps=[(action, 0) for action in INODE_AGAIN])
def test_every_line_that_is_kept_is_read_once(steps):
    told = []
    with tempfile.TemporaryDirectory() as folder:
        log = Log(f"{folder}/web.log")
        follower = Follower(log.path, BEGINNING, on_loss=told.append)
        seen = []
        for action, length in steps:
            if action == "write":
                log.write(length)
            elif action == "read":
                seen += follower.poll()
            elif action == "read_all":
                seen += all_of(follower)
            elif action == "close":
                follower.close()
            elif action == "resume":
                follower.close()
                saved = unpack_positions(pack_positions({log.path: follower.position}))
                follower = Follower(log.path, saved[log.path], on_loss=told.append)
            else:
                getattr(log, action)()
        seen += all_of(follower)
        follower.close()
    numbers = [int(line.split()[0]) for line in seen]
    assert numbers == sorted(set(numbers)), "in their order, and none twice"
    assert set(seen) <= set(log.sent)
    kept = {line for file in log.files for line in file}
    assert kept <= set(seen), f"of what is kept {sorted(kept - set(seen))} were not read"
    lost = set(range(numbers[0], numbers[-1])) - set(numbers) if numbers else set()
    if lost and not log.is_flushed:
        assert told, "lines were lost, and nobody was told"
