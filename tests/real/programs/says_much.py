"""Writes so many numbered lines of 100 bytes to stdout as fast as it can, says END, and is gone at once."""

import os
import sys

count = int(sys.argv[1])
for start in range(0, count, 1000):
    lines = "".join(f"{number:099d}\n" for number in range(start, min(start + 1000, count))).encode()
    while lines:
        lines = lines[os.write(1, lines) :]
os.write(1, b"END\n")
os._exit(0)
