"""Writes a line to argv[1] when it starts and one when it is stopped; says so if another copy runs.

The lock tells the truth also about copies that were killed: it goes with the process.
"""

import fcntl
import os
import signal
import sys

journal = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(word):
    os.write(journal, b"%s %d\n" % (word, os.getpid()))


def stop(*_):
    note(b"stop")
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
lock = os.open(sys.argv[1] + ".lock", os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note(b"double")
    raise
note(b"start")
print("started", flush=True)
while True:
    signal.pause()
