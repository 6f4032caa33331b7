"""Tasks that need more imports than those in pool_tasks."""

from __future__ import annotations

import os
import socket
import time

from rookery import ProcessPool, report_progress

left_open = []


def square(number):
    return number * number


def makes_a_pool(count):
    with ProcessPool(2, min_workers=1) as pool:
        return [os.getpid(), *pool.map(square, range(count))]


def leaves_a_pool(count):
    pool = ProcessPool(1)
    left_open.append(pool)
    return [future.result() for future in [pool.submit(square, number) for number in range(count)]]


def sockets_of_this_process():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
        except OSError:
            continue
    return found


def writes_garbage(to):
    """Into every socket of the worker: its answers go through one of them."""
    for fd in sockets_of_this_process():
        with socket.socket(fileno=os.dup(fd)) as one:
            kind = one.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
            if (kind == socket.SOCK_STREAM) == (to == "stream"):
                try:
                    one.send(b"\xff" * 4000, socket.MSG_DONTWAIT)
                except OSError:
                    continue
    return to


def tells(values, seconds=0.0):
    for value in values:
        report_progress(value)
        time.sleep(seconds)
    return "told"
