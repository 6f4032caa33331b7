"""app.c for machines without a compiler: the same words, the same lines, slower."""

import fcntl
import os
import signal
import sys
import time

BEGAN = time.monotonic_ns()
BATCH = 10_000
TAIL = " " + "x" * 86 + "\n"


def put(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def tell(path, *numbers):
    with open(path, "a", encoding="ascii") as file:
        file.write(" ".join(map(str, numbers)) + "\n")


def pass_gate(path):
    with open(path, "rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)


def full(lines, times):
    began = time.monotonic_ns()
    for first in range(0, lines, BATCH):
        put("".join([f"{number:012d}{TAIL}" for number in range(first, min(first + BATCH, lines))]).encode())
    tell(times, began, time.monotonic_ns())


def paced(lines, per_second):
    began = time.monotonic()
    for number in range(lines):
        put(f"{number:012d}{TAIL}".encode())
        time.sleep(max(0.0, began + (number + 1) / per_second - time.monotonic()))


what, *words = sys.argv[1:]
if what == "full":
    pass_gate(words[1])
    full(int(words[0]), words[2])
elif what == "paced":
    pass_gate(words[2])
    paced(int(words[0]), int(words[1]))
else:
    tell(words[0], os.getpid(), BEGAN)
while True:
    signal.pause()
