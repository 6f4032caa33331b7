"""The acceptor's loop among real sockets, and a system that refuses: no connection is lost, none is passed twice."""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import ExitStack
from time import monotonic

import pytest

from rookery.cluster import stats
from rookery.cluster.acceptor import wire
from rookery.cluster.acceptor.accepting import Acceptor
from rookery.cluster.acceptor.choice import least_connections, round_robin
from rookery.testing import wait_until


class FakeWorker:
    """Takes connections when it is told to, and counts as a worker does."""

    def __init__(self, slot, number):
        self.slot, self.number = slot, number
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.page = stats.Page.make()
        self.taken = []

    def take(self):
        """What has been passed to it up to now, one for each."""
        for _, fds in wire.all_received(self.theirs):
            self.taken += [socket.socket(fileno=fd) for fd in fds]
            self.page.words[stats.ACCEPTED] += len(fds)
        return len(self.taken)

    def close(self):
        self.take()
        for sock in (*self.taken, self.ours, self.theirs):
            sock.close()
        self.page.close()


class Stage:
    """An acceptor in a thread, its parent, its workers and its clients."""

    def __init__(self, stack, strategy=round_robin, *, passes_over=False):
        self._stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        self.listener.setblocking(False)
        self.control, theirs = socket.socketpair()
        stack.callback(self.control.close)
        self._wake, told = socket.socketpair()
        self.acceptor = Acceptor([self.listener], theirs, strategy, passes_over=passes_over)
        self.acceptor.watch(told)
        self.thread = threading.Thread(target=self.acceptor.run)
        self.thread.start()
        for sock in (self._wake, told, theirs):
            stack.callback(sock.close)
        stack.callback(self.stop)
        self.clients = []

    def worker(self, slot=0, number=1):
        found = FakeWorker(slot, number)
        self._stack.callback(found.close)
        self.announce(found)
        wait_until(lambda: number in self.acceptor._lanes, what="the worker's being known")
        return found

    def announce(self, worker, passed=0):
        frame = wire.Frame(wire.WORKER, worker.slot, worker.number, passed)
        wire.send_frame(self.control, frame, [worker.ours.fileno(), worker.page.fd])

    def connect(self, count):
        for _ in range(count):
            client = socket.create_connection(self.listener.getsockname())
            self._stack.callback(client.close)
            self.clients.append(client.getsockname())

    def stop(self):
        self._wake.send(b"x")
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def stage():
    with ExitStack() as stack:
        yield Stage(stack)


def all_taken(stage, *workers):
    """Wait until each client is with one of them, and none with two."""
    wait_until(lambda: sum(worker.take() for worker in workers) >= len(stage.clients), what="all being taken")
    assert sorted(sock.getpeername() for worker in workers for sock in worker.taken) == sorted(stage.clients)
    return [len(worker.taken) for worker in workers]


def test_they_wait_in_the_queue_until_there_is_a_worker(stage):
    stage.connect(20)
    assert all_taken(stage, stage.worker()) == [20]


def test_in_turn(stage):
    workers = [stage.worker(0, 1), stage.worker(1, 2), stage.worker(2, 3)]
    stage.connect(30)
    assert all_taken(stage, *workers) == [10, 10, 10]


def test_the_newest_of_a_slot_has_them_and_the_older_one_again_when_it_falls(stage):
    old = stage.worker(0, 1)
    stage.connect(5)
    assert all_taken(stage, old) == [5]
    new = stage.worker(0, 2)
    stage.connect(5)
    assert all_taken(stage, old, new) == [5, 5]
    wire.send_frame(stage.control, wire.Frame(wire.GONE, 0, 2))
    stage.connect(5)
    assert all_taken(stage, old, new) == [10, 5]


def test_a_slot_is_never_without_a_worker_when_the_next_one_was_there_before(stage, monkeypatch):
    """The stream of the old one may be seen to have ended before the word of the new one is read."""
    old, other, new = stage.worker(0, 1), stage.worker(1, 2), FakeWorker(0, 3)
    stage._stack.callback(new.close)
    send, is_told = wire.send, []

    def late(sock, marks, fds):
        if not is_told:
            is_told.append(True)
            stage.announce(new)
            old.ours.shutdown(socket.SHUT_WR)
        send(sock, marks, fds)

    monkeypatch.setattr(wire, "send", late)
    stage.acceptor._strategy = lambda address, lanes, last: next(
        (place for place, lane in enumerate(lanes) if lane.slot == 0), 0
    )
    stage.connect(1)
    assert all_taken(stage, old, other, new) == [0, 0, 1]


def test_whose_stream_was_ended_gets_none_though_nobody_said_so(stage):
    gone, there = stage.worker(0, 1), stage.worker(1, 2)
    gone.ours.shutdown(socket.SHUT_WR)
    stage.connect(20)
    assert all_taken(stage, gone, there) == [0, 20]


def test_who_ends_its_own_side_has_all_that_came_before_and_none_after(stage):
    leaver, there = stage.worker(0, 1), stage.worker(1, 2)
    stage.connect(20)
    wait_until(lambda: there.take() == 10, what="the half of them")
    leaver.theirs.shutdown(socket.SHUT_RD)
    stage.connect(20)
    assert all_taken(stage, leaver, there) == [10, 30]


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS])
def test_where_the_system_has_no_room_they_are_tried_again(stage, monkeypatch, number):
    refused = []
    send = wire.send

    def refusing(sock, marks, fds):
        if len(marks) < wire.MOST + 1 and len(refused) < 5:
            refused.append(number)
            raise OSError(number, os.strerror(number))
        send(sock, marks, fds)

    workers = [FakeWorker(0, 1), FakeWorker(1, 2)]
    for worker in workers:
        stage._stack.callback(worker.close)
        stage.announce(worker)
    wait_until(lambda: len(stage.acceptor._lanes) == 2, what="both workers")
    monkeypatch.setattr(wire, "send", refusing)
    stage.connect(40)
    assert sum(all_taken(stage, *workers)) == 40
    assert len(refused) == 5


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED])
def test_where_nothing_can_be_accepted_it_waits_in_the_queue(monkeypatch, number):
    refused = []

    class Listener(socket.socket):
        def _accept(self):
            if len(refused) < 3:
                refused.append(number)
                raise OSError(number, os.strerror(number))
            return super()._accept()

    with ExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "create_server", lambda address, backlog: _listener(Listener, address, backlog))
            stage = Stage(stack)
        worker = stage.worker()
        stage.connect(10)
        assert all_taken(stage, worker) == [10]
        assert len(refused) == 3


def test_a_full_stream_is_filled_up_when_there_is_room_again(stage):
    slow, acceptor = stage.worker(), stage.acceptor
    slow.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for count in range(1, 101):  # one after the other: a message for each, and the buffer holds but a few
        stage.connect(1)
        wait_until(lambda least=count: acceptor._waiting or acceptor._lanes[1].passed >= least, what="its being passed")
        if acceptor._waiting:
            break
    assert acceptor._waiting
    stage.connect(400 - count)  # these stay in the queue
    assert all_taken(stage, slow) == [400]


def test_who_is_full_is_left_out(stage):
    full, free = stage.worker(0, 1), stage.worker(1, 2)
    full.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    lanes = stage.acceptor._lanes
    for count in range(1, 101):  # one after the other: how many messages a buffer holds does not depend on their sizes
        stage.connect(1)
        wait_until(lambda least=count: free.take() + lanes[1].passed >= least, what="its being passed")
    assert free.take() > 60
    assert sum(all_taken(stage, full, free)) == 100


def test_who_does_not_read_is_passed_over():
    with ExitStack() as stack:
        stage = Stage(stack, passes_over=True)
        asleep, awake = stage.worker(0, 1), stage.worker(1, 2)
        stage.connect(40)
        wait_until(lambda: awake.take() == 20, what="the half of them")
        wait_until(lambda: monotonic() > stage.acceptor._lanes[1]._moved + 0.25, what="time going by")
        for number in range(21, 41):
            stage.connect(1)
            wait_until(lambda wanted=number: awake.take() == wanted, what="its being taken")
        asleep.take()
        for _ in range(4):
            stage.connect(2)
            all_taken(stage, asleep, awake)
        assert all_taken(stage, asleep, awake) == [24, 44]


def test_what_was_passed_before_counts_for_the_next_acceptor():
    with ExitStack() as stack:
        stage = Stage(stack, least_connections)
        busy, idle = FakeWorker(0, 1), FakeWorker(1, 2)
        busy.page.words[stats.ACCEPTED], busy.page.words[stats.CLOSED] = 17, 10
        for worker, passed in ((busy, 20), (idle, 0)):  # 7 open, 3 more in its stream
            stack.callback(worker.close)
            stage.announce(worker, passed)
        wait_until(lambda: len(stage.acceptor._lanes) == 2, what="both workers")
        stage.connect(10)
        assert all_taken(stage, busy, idle) == [0, 10]
        stage.connect(4)
        assert all_taken(stage, busy, idle) == [2, 12]


def test_given_connections_are_passed_with_their_mark_and_address(stage):
    worker = stage.worker()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send_frame(stage.control, wire.Frame(wire.GIVEN, marks=b"\x07"), [theirs.fileno()])
        found = []
        wait_until(lambda: found.extend(wire.all_received(worker.theirs)) or found, what="the given one")
        ((marks, (fd,)),) = found
        assert marks == b"\x07"
        with socket.socket(fileno=fd) as sock:
            sock.send(b"hello")
        assert ours.recv(5) == b"hello"


def test_at_the_stop_the_queue_is_emptied(stage):
    worker = stage.worker()
    wait_until(lambda: stage.acceptor._open, what="the worker")
    stage.connect(200)
    stage.stop()
    assert all_taken(stage, worker) == [200]


def test_without_its_parent_it_goes_on_until_the_last_worker_has_gone(stage):
    workers = [stage.worker(0, 1), stage.worker(1, 2)]
    wait_until(lambda: len(stage.acceptor._lanes) == 2, what="both workers")
    for worker in workers:
        worker.ours.close()
    stage.control.close()
    stage.connect(10)
    assert all_taken(stage, *workers) == [5, 5]
    workers[0].theirs.close()
    workers[0].theirs = workers[1].theirs.dup()
    wait_until(lambda: len(stage.acceptor._lanes) == 1, what="the end of one")
    for worker in workers:
        worker.theirs.shutdown(socket.SHUT_RDWR)
    stage.thread.join(10)
    assert not stage.thread.is_alive()


def test_a_worker_for_whom_no_descriptors_came_is_left_out(stage, capsys):
    wire.send_frame(stage.control, wire.Frame(wire.WORKER, 3, 9), [stage.listener.fileno()])
    stage.connect(3)
    assert all_taken(stage, stage.worker()) == [3]
    assert "no descriptors for worker 3" in capsys.readouterr().err


def _listener(kind, address, backlog):
    sock = kind(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen(backlog)
    return sock
