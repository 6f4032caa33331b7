"""Takes lent memory from the socket that is its stdin, and says what it found; ``keep`` holds on to every array."""

import os
import pickle
import socket
import sys

from rookery.pool.segments.lender import Borrower
from rookery.pool.values.pickling import decode

peer = socket.socket(fileno=0)
borrower = Borrower()
kept = []
while True:
    head, fds, _, _ = socket.recv_fds(peer, 65536, 1)
    if not head:
        break
    order, number, size, offsets = pickle.loads(head)
    answer = None
    if order == "take":
        stream, *buffers = borrower.take(borrower.borrow(number, fds[0], size), offsets)
        array = decode(stream, buffers)
        del stream, buffers
        answer = float(array[0]), float(array[-1])
        if "keep" in sys.argv:
            kept.append(array)
        del array
    elif order == "kept":
        answer = [(float(array.min()), float(array.max())) for array in kept]
    elif order == "drop":
        kept.clear()
    elif order == "fds":
        answer = len(os.listdir("/proc/self/fd"))
    peer.send(pickle.dumps((answer, borrower.released())))
