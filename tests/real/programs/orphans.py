"""Leaves an orphan behind that ends, says so when it has been reaped, and who its own parent is; SIGTERM: code 7."""

import os
import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
reading, writing = os.pipe()
if os.fork() == 0:
    if (orphan := os.fork()) == 0:
        os.close(reading)
        while os.getppid() != int(sys.argv[1]):
            time.sleep(0.01)
        os._exit(0)
    os.write(writing, b"%d" % orphan)
    os._exit(0)
os.wait()
orphan = int(os.read(reading, 20))
while os.path.exists(f"/proc/{orphan}"):
    time.sleep(0.01)
print(f"reaped, below {os.getppid()}", flush=True)
while True:
    signal.pause()
