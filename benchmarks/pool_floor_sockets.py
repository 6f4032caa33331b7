"""Workers at the ends of bare sockets, and the least that makes a pool of them."""

import collections
import mmap
import os
import pickle
import socket
import struct
import time

HEAD = struct.Struct("<IQ")
"""Of a reply: how long it is, which task."""
BEGAN = struct.Struct("<Qd")
SIZE = 1 << 18


def nothing(value):
    return value


class Worker:
    """A forked process and both its sockets, as the parent sees them."""

    def __init__(self, serve):
        self.tasks, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.replies, answers = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.tasks.close()
                self.replies.close()
                serve(theirs, answers)
            finally:
                os._exit(0)
        theirs.close()
        answers.close()
        self.room = 0
        self._rest = b""
        self._room = memoryview(bytearray(SIZE))

    def received(self):
        """(task, its pickled result) of what has come."""
        # Into room that is there: recv() of so much would map and unmap memory each time, ten microseconds.
        data = self._rest + self._room[: self.replies.recv_into(self._room)]
        at, end, found = 0, len(data), []
        while end - at >= HEAD.size:
            length, number = HEAD.unpack_from(data, at)
            after = at + HEAD.size + length
            if after > end:
                break
            found.append((number, data[at + HEAD.size : after]))
            at = after
        self._rest = data[at:]
        return found

    def close(self):
        self.tasks.shutdown(socket.SHUT_RDWR)  # not close(): a later worker has a copy
        self.tasks.close()
        self.replies.close()
        os.waitpid(self.pid, 0)


def bare(gathered):
    """A worker which looks at nothing but the number."""

    def handle(packet):
        return HEAD.pack(0, int.from_bytes(packet[:8], "little"))

    return lambda tasks, replies: _serve(tasks, replies, handle, gathered)


def pickled(gathered):
    """A worker which does all that is to be done, to the note of when the task began."""
    page, clock, loads, dumps = mmap.mmap(-1, 4096), time.monotonic, pickle.loads, pickle.dumps

    def handle(packet):
        number = int.from_bytes(packet[:8], "little")
        BEGAN.pack_into(page, 0, number, clock())
        args, named = loads(packet[8:])
        body = dumps(nothing(*args, **named), 5)
        return HEAD.pack(len(body), number) + body

    return lambda tasks, replies: _serve(tasks, replies, handle, gathered)


def _serve(tasks, replies, handle, gathered):
    waiting = []
    while True:
        try:
            packet = tasks.recv(65536, socket.MSG_DONTWAIT if waiting else 0)
        except BlockingIOError:
            replies.sendall(b"".join(waiting))
            waiting.clear()
            continue
        if not packet:
            return
        waiting.append(handle(packet))
        if not gathered or len(waiting) == gathered:
            replies.sendall(b"".join(waiting))
            waiting.clear()


def encoded(number, *args):
    return number.to_bytes(8, "little") + pickle.dumps((args, {}), 5)


class Engine:
    """The least that gives out futures: a window for each worker, what does not fit waits in a queue."""

    def __init__(self, serve, options, new_future):
        self.workers = [Worker(serve) for _ in range(options.workers)]
        for worker in self.workers:
            worker.room = options.window
        self._queue = collections.deque()
        self._futures = {}
        self._next = 0
        self._new_future = new_future

    def run(self, *args):
        future = self._new_future()
        number = self._next
        self._next = number + 1
        self._futures[number] = future
        packet = encoded(number, *args)
        workers = self.workers
        worker = max(workers, key=_room)
        if worker.room and not self._queue:
            worker.room -= 1
            worker.tasks.send(packet)
        else:
            self._queue.append(packet)
        return future

    def put(self, *args):
        """As run(), but somebody else sends."""
        future = self._new_future()
        number = self._next
        self._next = number + 1
        self._futures[number] = future
        self._queue.append(encoded(number, *args))
        return future

    def refill(self, worker):
        queue, send = self._queue, worker.tasks.send
        while worker.room and queue:
            worker.room -= 1
            send(queue.popleft())

    def received(self, worker):
        """(future, result) of what has come from this worker, which has got new tasks first."""
        found = worker.received()
        worker.room += len(found)
        self.refill(worker)
        pop, loads = self._futures.pop, pickle.loads
        return [(pop(number), loads(body)) for number, body in found]

    def close(self):
        for worker in self.workers:
            worker.close()


def _room(worker):
    return worker.room
