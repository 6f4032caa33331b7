"""Copies of this process that do one thing and go: shared memory is there for them already."""

from __future__ import annotations

import os
import signal
import sys
import traceback

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.testing import wait_until


class Forked:
    """work() in a child by fork; what it raises is told on stderr and by the exit code."""

    def __init__(self, work):
        self.code = None
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            signal.alarm(int(DEADLINE) * 2)  # if the test is no more
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def has_ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def join(self):
        """Its exit code."""
        wait_until(self.has_ended, DEADLINE, f"the end of {self.pid} ({kernel.facts(self.pid)})")
        return self.code

    def kill(self, number=signal.SIGKILL):
        """Signal it; after SIGKILL wait for its end."""
        if not self.has_ended():
            os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
