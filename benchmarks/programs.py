"""The program that the benchmarks run, and the gate that holds it back until everything is in place."""

import fcntl
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(HERE)
KEPT = os.path.join(CHECKOUT, ".bench")
"""What the benchmarks build and install, kept between runs."""


def app():
    """The argv that the words of app.c are put behind, and what it is: C where there is a compiler, else Python."""
    source, built = os.path.join(HERE, "app.c"), os.path.join(KEPT, "app")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return [os.path.realpath(sys.executable), "-I", "-S", os.path.join(HERE, "app.py")], "Python (no C compiler)"
    os.makedirs(KEPT, exist_ok=True)
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        subprocess.run([compiler, "-O2", "-o", built, source], check=True)
    return [built], "C"


class Gate:
    """A locked file. Programs that wait for it begin when it is opened, all at once."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "wb")  # noqa: SIM115 - closed by open()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self):
        self._file.close()
