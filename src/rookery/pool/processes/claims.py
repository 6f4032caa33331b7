"""Packets with several tasks: which of them a worker may still begin.

For each task of such a packet there is one byte in a stream between parent and worker, the packet's number. The worker
takes it before it begins the task; the parent takes tasks back by taking the bytes that are left, and puts a mark in
their place. So the kernel decides who gets each, as it does for whole packets.

    parent --packet: tasks 7 8 9-->   bytes: 5 5 5     worker takes one: it has 7
    parent takes what is left: 5 5, so 8 and 9 are its own again, and puts the mark 5|REVOKED there

The other way come the descriptors of results in shared memory: the frames themselves are read without looking for any,
which takes half the time.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from rookery._base import descriptors
from rookery.pool.processes.wire import REVOKED

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_MOST = REVOKED - 1
_READ = 4096


class Claims:
    """The parent's side. Guarded by the engine's lock. theirs: the worker's end, to be closed here when it has it."""

    def __init__(self) -> None:
        """Raises OSError."""
        with ExitStack() as made:
            self._ours, self.theirs = map(made.enter_context, socket.socketpair())
            self._taken = made.enter_context(self.theirs.dup())
            made.pop_all()
        self._ours.setblocking(False)
        self._packets: dict[int, Sequence[int]] = {}
        self._last = 0

    def number(self, tasks: Sequence[int], open_tasks: Container[int]) -> int:
        """A number for a packet with these tasks, from 1; 0 where too many are under way.

        open_tasks: those that have no answer yet; a packet without any is forgotten.
        """
        packets = self._packets
        for number in [number for number, held in packets.items() if held[-1] not in open_tasks]:
            del packets[number]
        if len(packets) >= _MOST:
            return 0
        while True:
            self._last = self._last % _MOST + 1
            if self._last not in packets:
                packets[self._last] = tasks
                return self._last

    def grant(self, number: int) -> None:
        """The packet is sent: its tasks may be begun."""
        with suppress(OSError):  # the worker is gone; full it cannot be of a byte for each task that a worker has ahead
            self._ours.send(bytes((number,)) * len(self._packets[number]))

    def forget(self, number: int) -> Sequence[int]:
        """The packet was not sent, or came back whole: its tasks."""
        return self._packets.pop(number, ())

    def take_back(self) -> list[int]:
        """The tasks that the worker has not begun, of packets that it has, in order."""
        found: list[int] = []
        marks: dict[int, None] = {}
        left: dict[int, int] = {}
        with suppress(OSError):  # nothing is there
            while data := self._taken.recv(_READ, socket.MSG_DONTWAIT):
                for number in data:
                    if number & REVOKED:
                        marks[number] = None  # it has not come to it yet
                    else:
                        left[number] = left.get(number, 0) + 1
        for number, count in left.items():
            tasks = self._packets.get(number)
            if tasks is not None:
                self._packets[number] = tasks[:-count]
                found += tasks[-count:]
                if len(tasks) == count:
                    del self._packets[number]
                marks[number | REVOKED] = None
        if marks:
            with suppress(OSError):
                self._ours.send(bytes(marks))
        return found

    def descriptor(self) -> int:
        """The next one that the worker has sent. Raises OSError where it did not get through."""
        _, fds, _ = descriptors.receive(self._ours, 1, 1)
        if not fds:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return fds[0]

    def end(self) -> None:
        """There is no packet after those that the worker has."""
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of all ends; a second time: nothing."""
        for one in (self._ours, self._taken, self.theirs):
            one.close()
