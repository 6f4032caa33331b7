"""The acceptor's loop: accept many, choose, pass them on. One thread, nothing that waits but the selector."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import sys
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from rookery.cluster import stats
from rookery.cluster.acceptor import wire
from rookery.cluster.acceptor.choice import not_stalled
from rookery.cluster.acceptor.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.cluster.acceptor.choice import Strategy

_PAUSE = 0.05
"""Seconds until a second try where the system has no room."""
_LAST_STEPS = 5.0
_OUT_OF_ROOM = frozenset({errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS})
_OF_THE_CLIENT = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EINTR})


class Connection:
    """fd: ours until close(); mark: of the listening socket; address: the client's."""

    __slots__ = ("address", "fd", "mark")

    def __init__(self, fd: int, mark: int, address: Any) -> None:
        self.fd = fd
        self.mark = mark
        self.address = address

    def close(self) -> None:
        """The worker has its own."""
        os.close(self.fd)


class Acceptor:
    """listeners: listening sockets, not blocking; control: the parent's words; strategy: see choice.

    passes_over: whether workers that take none, while others do, are left out meanwhile.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], control: socket.socket, strategy: Strategy, *, passes_over: bool
    ) -> None:
        self._listeners = listeners
        self._control = control
        self._strategy = strategy
        self._passes_over = passes_over
        self._lanes: dict[int, Lane] = {}
        self._open: list[Lane] = []
        """The newest of each slot, by slot."""
        self._waiting: deque[Connection] = deque()
        """Accepted, and nobody could take them; nothing is accepted meanwhile."""
        self._last = -1
        self._is_listening = False
        self._is_orphan = False
        self._paused = 0.0
        self._stop_by = 0.0
        self._is_swept = False
        self._selector = selectors.DefaultSelector()
        control.setblocking(False)
        self._selector.register(control, selectors.EVENT_READ, (self._hear, None))

    def watch(self, sock: socket.socket) -> None:
        """Stop when something comes there: what has come up to then is accepted and passed before."""
        self._selector.register(sock, selectors.EVENT_READ, (self._stop, sock))

    def run(self) -> None:
        """Until a stop, or until nobody is left who could say or take anything."""
        while True:
            if self._paused and monotonic() >= self._paused:
                self._paused = 0.0
            if self._waiting and not self._paused:
                self._place_waiting()
            if self._stop_by and not self._waiting:
                self._sweep()
            if self._is_over():
                break
            self._listen()
            for key, _ in self._selector.select(self._patience()):
                call, argument = key.data
                call(argument)
        for connection in self._waiting:
            connection.close()
        for lane in self._lanes.values():
            lane.close()
        self._selector.close()

    # -- accepting --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Watch the listening sockets while what comes there could be passed on."""
        wanted = bool(self._open) and not self._waiting and not self._paused and not self._stop_by
        if wanted == self._is_listening:
            return
        self._is_listening = wanted
        for mark, listener in enumerate(self._listeners):
            if wanted:
                self._selector.register(listener, selectors.EVENT_READ, (self._accept, mark))
            else:
                self._selector.unregister(listener)

    def _accept(self, mark: int) -> int:
        """Take what has come, and pass it on; how many those were."""
        listener = self._listeners[mark]
        accept = listener._accept  # type: ignore[attr-defined]  # noqa: SLF001 - accept() makes an object of each
        taken: list[Connection] = []
        while len(taken) < wire.MOST:
            try:
                fd, address = accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _OF_THE_CLIENT:
                    continue
                self._pause()  # no descriptors, no memory: what waits stays in the queue
                break
            taken.append(Connection(fd, mark, address))
        if taken:
            self._place(taken)
        return len(taken)

    def _pause(self) -> None:
        self._paused = monotonic() + _PAUSE

    # -- passing on -------------------------------------------------------------------------------------------------

    def _place(self, connections: Sequence[Connection]) -> None:
        """Choose for each, and pass all that one worker gets at once."""
        left = connections
        while left:
            able = [lane for lane in self._open if not lane.is_full]
            if not able:
                self._waiting.extend(left)
                return
            now = monotonic()
            for lane in able:
                lane.look(now)
            if self._passes_over and len(able) > 1:
                able = not_stalled(able)
            for connection in left:
                lane = able[self._strategy(connection.address, able, self._last)]
                self._last = lane.slot
                lane.choose(connection)
            refused: list[Connection] = []
            for lane in able:
                if lane.chosen:
                    refused += self._flush(lane)
            left = refused
            if any(lane.id not in self._lanes for lane in able):
                # Its slot may have another worker already: the parent says so before it ends a stream.
                self._hear_all()
            if self._paused:
                self._waiting.extend(left)
                return

    def _flush(self, lane: Lane) -> Sequence[Connection]:
        """Pass what was chosen for it; what did not go."""
        try:
            lane.flush()
        except BlockingIOError:
            lane.is_full = True
            self._watch(lane)
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:  # nobody tells when there is some again
                self._pause()
            else:  # it leaves, or has gone
                self._drop(lane)
        return lane.take_back()

    def _watch(self, lane: Lane) -> None:
        """See when there is room in a full stream; where nobody else says so, also when its worker has gone."""
        events = (selectors.EVENT_WRITE if lane.is_full else 0) | (selectors.EVENT_READ if self._is_orphan else 0)
        if lane.sock in self._selector.get_map():
            self._selector.unregister(lane.sock)
        if events:
            self._selector.register(lane.sock, events, (self._changed, lane))

    def _changed(self, lane: Lane) -> None:
        if self._is_orphan and lane.has_ended():
            self._drop(lane)
        elif lane.is_full:
            lane.is_full = False
            self._watch(lane)

    def _place_waiting(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        self._place(waiting)

    # -- the parent's words -----------------------------------------------------------------------------------------

    def _hear_all(self) -> None:
        while not self._is_orphan and self._hear():
            pass

    def _hear(self, _: None = None) -> bool:
        """The next word; whether there was one."""
        try:
            heard = wire.receive_frame(self._control)
        except BlockingIOError:
            return False
        except OSError:
            heard = None
        if heard is None:  # it has died: its workers may go on, and so do we
            self._selector.unregister(self._control)
            self._is_orphan = True
            for lane in self._lanes.values():
                self._watch(lane)
            return False
        frame, fds = heard
        if frame.kind == wire.WORKER:
            self._add(frame, fds)
        elif frame.kind == wire.GONE:
            if frame.worker in self._lanes:
                self._drop(self._lanes[frame.worker])
        elif frame.kind == wire.GIVEN:
            self._place([Connection(fd, mark, _client(fd)) for mark, fd in zip(frame.marks, fds, strict=False)])
        return True

    def _add(self, frame: wire.Frame, fds: list[int]) -> None:
        if len(fds) != 2:  # no descriptors were left for it; nothing can be done with half a worker
            for fd in fds:
                os.close(fd)
            sys.stderr.write(f"rookery: no descriptors for worker {frame.slot}: it gets no connections\n")
            return
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fds[0])
        if frame.worker in self._lanes:
            self._drop(self._lanes[frame.worker])
        self._lanes[frame.worker] = Lane(frame.slot, frame.worker, stream, stats.Page(fds[1]), frame.passed)
        self._see_who_is_open()

    def _drop(self, lane: Lane) -> None:
        if self._lanes.pop(lane.id, None) is None:
            return
        if lane.sock in self._selector.get_map():
            self._selector.unregister(lane.sock)
        lane.close()
        self._see_who_is_open()

    def _see_who_is_open(self) -> None:
        newest: dict[int, Lane] = {}
        for _, lane in sorted(self._lanes.items()):
            newest[lane.slot] = lane
        self._open = [lane for _, lane in sorted(newest.items())]

    # -- the end ----------------------------------------------------------------------------------------------------

    def _stop(self, sock: socket.socket) -> None:
        sock.recv(64)
        self._stop_by = self._stop_by or monotonic() + _LAST_STEPS

    def _sweep(self) -> None:
        """Take all that waits in the queues: nobody comes after us."""
        for mark in range(len(self._listeners)):
            while self._open and not self._waiting and not self._paused:
                if self._accept(mark) < wire.MOST:
                    break
        self._is_swept = not self._waiting and not self._paused

    def _is_over(self) -> bool:
        if self._stop_by:
            return self._is_swept or not self._open or monotonic() >= self._stop_by
        return self._is_orphan and not self._lanes

    def _patience(self) -> float | None:
        moments = [moment for moment in (self._paused, self._stop_by) if moment]
        return max(0.0, min(moments) - monotonic()) if moments else None


def _client(fd: int) -> Any:
    """The address of whoever is at the other end."""
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            return sock.getpeername()
    except OSError:
        return ""
