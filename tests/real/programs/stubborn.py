"""Says "told" for each SIGTERM and stays."""

import os
import signal

signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"told\n"))
print("ready", flush=True)
while True:
    signal.pause()
