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
    built = _built(os.path.join(HERE, "app.c"), "app")
    if built is None:
        return [os.path.realpath(sys.executable), "-I", "-S", os.path.join(HERE, "app.py")], "Python (no C compiler)"
    return [built], "C"


def process_program():
    """The program of c/process.c. There is no such benchmark without a compiler: C is what all else is measured by."""
    built = _built(os.path.join(HERE, "c", "process.c"), "process")
    if built is None:
        sys.exit("this benchmark needs a C compiler")
    return built


def cluster_client():
    """The program of c/cluster_client.c; there is no such benchmark without a compiler."""
    built = _built(os.path.join(HERE, "c", "cluster_client.c"), "cluster_client")
    if built is None:
        sys.exit("this benchmark needs a C compiler")
    return built


def _built(source, name):
    built, compiler = os.path.join(KEPT, name), shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    os.makedirs(KEPT, exist_ok=True)
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        subprocess.run([compiler, "-O2", "-o", built, source, "-lm"], check=True)
    return built


class Gate:
    """A locked file. Programs that wait for it begin when it is opened, all at once."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "wb")  # noqa: SIM115 - closed by open()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self):
        self._file.close()
