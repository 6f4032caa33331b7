"""Programs of a guide: run one, and see that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.testing import wait_until


def run_example(program, *words, cwd):
    """Run it in Python, to its end."""
    ours = set(kernel.children(os.getpid()))
    command = [sys.executable, program, *words]
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
    wait_for_the_rest(ours)
    return ran


def wait_for_the_rest(ours):
    """The guardian of a program ends after it, and comes to us then, who are the subreaper. ours: other children."""

    def has_gone():
        left = set(kernel.children(os.getpid())) - ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(has_gone, DEADLINE, "the end of all that it started")
