"""What the pools are given to do."""

import os
import signal
import time

LONG = 1000
"""Number of the one long task among the short ones."""


def nothing(value):
    return value


def summed(array):
    return float(array.sum())


def short_or_long(number):
    """(number, when it began): a tenth of a millisecond of work, the long one a second of waiting."""
    began = time.monotonic()
    if number == LONG:
        time.sleep(1.0)
    while time.monotonic() < began + 0.0001:
        pass
    return number, began


def who(number):
    """(number, process, when it began): a millisecond of work. Given a path, it notes the time there and is killed."""
    began = time.monotonic()
    while time.monotonic() < began + 0.001:
        pass
    if isinstance(number, str):
        with open(number, "w", encoding="ascii") as file:
            file.write(str(time.monotonic()))
        os.kill(os.getpid(), signal.SIGKILL)
    return number, os.getpid(), began
