"""Leaves a grandchild behind in a way of its own, and writes the grandchild's pid into the file in argv[2].

argv[1]: stays (double fork and setsid, this process lives on), leaves (the same, and this process ends with 0),
bare-session (an emptied environment, in our session, its parent gone), bare-child (an emptied environment, in a session
of its own, its parent alive).
"""

import os
import signal
import sys

how, path = sys.argv[1:]
SLEEP = ["/bin/sleep", "1000"]


def become(environ):
    with open(path + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(path + ".new", path)
    os.execve(SLEEP[0], SLEEP, environ)


if os.fork() == 0:
    if how == "bare-child":
        os.setsid()
        become({})
    if how in ("stays", "leaves"):
        os.setsid()
    if os.fork() == 0:
        become({} if how == "bare-session" else dict(os.environ))
    os._exit(0)
if how != "bare-child":
    os.wait()
if how == "leaves":
    sys.exit(0)
while True:
    signal.pause()
