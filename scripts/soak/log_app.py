"""Numbered lines, 500 a second, on stdout and every tenth on stderr too."""

import sys
import time

number = 0
began = time.monotonic()
while True:
    number += 1
    sys.stdout.write(f"line {number}\n")
    sys.stdout.flush()
    if number % 10 == 0:
        sys.stderr.write(f"error {number // 10}\n")
        sys.stderr.flush()
    time.sleep(max(0.0, began + number / 500 - time.monotonic()))
