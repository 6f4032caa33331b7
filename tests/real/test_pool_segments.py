"""Memory that is lent to another process."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from capabilities import DEADLINE, needs_linux
from rookery.pool.segments.lender import Borrower, Lender
from rookery.pool.values.pickling import decode, encode

pytestmark = pytest.mark.real
PROGRAM = os.path.join(os.path.dirname(__file__), "programs", "pool_borrower.py")
COUNT = 1 << 17  # numbers of 8 bytes


class Receiver:
    """A process that takes what a lender lends."""

    def __init__(self, lender, *args):
        self.lender = lender
        self.peer, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer.settimeout(DEADLINE)
        self.process = subprocess.Popen([sys.executable, PROGRAM, *args], stdin=other, start_new_session=True)
        other.close()

    def ask(self, order, loan=None):
        fds = [] if loan is None else [loan.fd]
        body = (order, 0, 0, ()) if loan is None else (order, loan.number, loan.size, loan.offsets)
        socket.send_fds(self.peer, [pickle.dumps(body)], fds)
        answer, released = pickle.loads(self.peer.recv(65536))
        self.lender.give_back_all(released)
        return answer

    def give(self, array):
        stream, buffers = encode(array)
        loan = self.lender.lend([stream, *buffers], self)
        answer = self.ask("take", loan)
        self.lender.sent(loan.number)
        return answer

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.peer.close()
        self.process.wait(DEADLINE)


@pytest.fixture
def make():
    receivers = []

    def start(lender, *args):
        receivers.append(Receiver(lender, *args))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.close()


@pytest.fixture
def lender():
    with Lender() as lender:
        yield lender


def test_arrays_arrive_through_memory_that_is_used_again(lender, make):
    receiver = make(lender)
    for number in range(50):
        assert receiver.give(np.full(COUNT + number, float(number))) == (number, number)
    assert lender.lent == 0
    assert len(lender._free) <= 3


def test_what_the_receiver_keeps_stays_as_it_is(lender, make):
    receiver = make(lender, "keep")
    for number in range(20):
        receiver.give(np.full(COUNT, float(number)))
    assert lender.lent == 20
    assert receiver.ask("kept") == [(number, number) for number in range(20)]
    receiver.ask("drop")
    assert receiver.ask("kept") == []
    assert lender.lent == 0


def test_what_the_receiver_keeps_outlives_the_lender(make):
    lender = Lender()
    receiver = make(lender, "keep")
    for number in range(3):
        receiver.give(np.full(COUNT, float(number)))
    lender.close()
    assert receiver.ask("kept") == [(number, number) for number in range(3)]


@needs_linux
def test_no_descriptors_are_left_on_either_side(lender, make):
    receiver = make(lender)
    receiver.give(np.zeros(COUNT))
    theirs, ours = receiver.ask("fds"), len(os.listdir("/proc/self/fd"))
    for number in range(100):
        receiver.give(np.zeros(COUNT * (1 + number % 3)))
    assert receiver.ask("fds") == theirs
    assert len(os.listdir("/proc/self/fd")) <= ours + 6


def test_a_killed_receiver_gives_back_what_it_had(lender, make):
    receiver = make(lender, "keep")
    for number in range(10):
        receiver.give(np.full(COUNT, float(number)))
    other = make(lender)
    receiver.kill()
    assert lender.lent == 10
    lender.forget(receiver)
    assert lender.lent == 0
    assert other.give(np.full(COUNT, 5.0)) == (5.0, 5.0)
    lender.close()


def test_a_killed_lender_leaves_what_it_lent():
    code = """if True:
        import os, pickle, signal, socket, sys
        import numpy
        from rookery.pool.values.pickling import encode
        from rookery.pool.segments.lender import Lender
        peer = socket.socket(fileno=0)
        stream, buffers = encode(numpy.full(100_000, 7.0))
        loan = Lender().lend([stream, *buffers])
        socket.send_fds(peer, [pickle.dumps(tuple(loan))], [loan.fd])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ours, theirs = socket.socketpair()
    with ours:
        process = subprocess.Popen([sys.executable, "-c", code], stdin=theirs)
        theirs.close()
        ours.settimeout(DEADLINE)
        head, fds, _, _ = socket.recv_fds(ours, 65536, 1)
        assert process.wait(DEADLINE) == -9
    number, _, size, offsets = pickle.loads(head)
    borrower = Borrower()
    stream, *buffers = borrower.take(borrower.borrow(number, fds[0], size), offsets)
    array = decode(stream, buffers)
    assert (array == 7.0).all()
    array[0] = 8.0
    del stream, buffers, array
    assert borrower.released() == [number]
    borrower.close()


def test_several_receivers_and_threads_at_once(lender, make):
    receivers = [make(lender) for _ in range(3)]
    wrong = []

    def work(receiver, start):
        for number in range(start, start + 40):
            answer = receiver.give(np.full(COUNT // 4 + 100 * number, float(number)))
            wrong.extend([number] if answer != (number, number) else [])

    threads = [threading.Thread(target=work, args=(one, 1000 * place)) for place, one in enumerate(receivers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert lender.lent == 0
