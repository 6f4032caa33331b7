"""Writes 500 numbered lines a second to stdout until SIGTERM; the last line says how many there were."""

import os
import signal
import sys
import time

end = False


def stop(*_):
    global end  # noqa: PLW0603
    end = True


signal.signal(signal.SIGTERM, stop)
pause = float(sys.argv[1]) if len(sys.argv) > 1 else 0.002
number = 0
while not end:
    os.write(1, b"%d\n" % number)
    number += 1
    time.sleep(pause)
os.write(1, b"all %d\n" % number)
