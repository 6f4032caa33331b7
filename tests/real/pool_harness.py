"""What several tests of pools need."""

from __future__ import annotations

import os
from pathlib import Path

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.testing import wait_until


class Strangers:
    """``with Strangers():`` processes that come to us meanwhile, we being the subreaper, have ended after it."""

    def __enter__(self):
        self._ours = set(kernel.children(os.getpid()))
        return self

    def __exit__(self, *_):
        wait_until(self._are_reaped, DEADLINE, "the end of all that came to us")

    def _are_reaped(self):
        left = set(kernel.children(os.getpid())) - self._ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)


def pid_in(path):
    wait_until(lambda: os.path.exists(path), DEADLINE, f"a pid in {path}")
    return int(Path(path).read_text())
