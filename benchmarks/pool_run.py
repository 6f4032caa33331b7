"""One contender and one work in a process of its own, which leaves nothing behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import peers
from programs import CHECKOUT, HERE
from running import Failed

LIMIT = 40.0
"""Seconds until a run is given up."""
GRACE = 1.0
OURS, FUTURES, MULTIPROCESSING = "rookery", "ProcessPoolExecutor", "multiprocessing.Pool"
PIPS = ("loky", "pebble", "mpire", "joblib", "anyio")
NODES = ("piscina", "workerpool")
NAMES = {
    OURS: OURS,
    FUTURES: FUTURES,
    MULTIPROCESSING: MULTIPROCESSING,
    "loky": "loky",
    "pebble": "pebble",
    "mpire": "mpire",
    "joblib": "joblib",
    "anyio.to_process": "anyio.to_process",
    "piscina": "piscina (threads)",
    "workerpool": "workerpool (processes)",
}
"""Contender: what a table calls it."""


class Runner:
    def __init__(self, workers):
        self._workers = workers
        self._modules = None
        self.missing = {}
        """Contender: why it cannot be measured."""
        try:
            self._python = peers.pools()
        except peers.Missing as missing:
            self._python = sys.executable
            self.missing.update(dict.fromkeys((*PIPS, "anyio.to_process"), str(missing)))
        try:
            self._modules = peers.node_pools()
        except peers.Missing as missing:
            self.missing.update(dict.fromkeys(NODES, str(missing)))
        self._compile()
        self._look_for_ours()

    def _compile(self):
        # Ours and the benchmark: pip has compiled the others.
        folders = [os.path.join(CHECKOUT, "src"), HERE]
        subprocess.run([self._python, "-m", "compileall", "-q", *folders], check=False, stdout=subprocess.DEVNULL)

    def _look_for_ours(self):
        argv = [self._python, "-c", "from rookery import ProcessPool"]
        tried = subprocess.run(argv, env=self._environment(), capture_output=True, text=True, check=False)
        if tried.returncode:
            self.missing[OURS] = f"rookery.ProcessPool cannot be imported: {tried.stderr.strip().splitlines()[-1]}"

    def _environment(self):
        found = {**os.environ, "PYTHONPATH": os.path.join(CHECKOUT, "src")}
        if self._modules is not None:
            found["NODE_PATH"] = self._modules
        return found

    def versions(self):
        """(name, version) of each that was installed."""
        said = "from importlib.metadata import version\nfor name in {!r}: print(name, version(name))"
        names = [name for name in (*PIPS, "numpy") if name not in self.missing]
        done = subprocess.run([self._python, "-c", said.format(names)], capture_output=True, text=True, check=False)
        found = [line.split() for line in done.stdout.splitlines()]
        for name in NODES:
            if name not in self.missing:
                with open(os.path.join(self._modules, name, "package.json"), encoding="utf-8") as file:
                    found.append([name, json.load(file)["version"]])
        return found

    def run(self, name, work, size):
        """The figures. Raises Failed."""
        if name in NODES:
            argv = ["node", os.path.join(HERE, "pool_node.js")]
        else:
            argv = [self._python, os.path.join(HERE, "pool_works.py")]
        argv += [name, work, str(self._workers), str(size)]
        # Into files, and in a session of its own: workers that outlive a pool which broke would hold a pipe open.
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
            child = subprocess.Popen(
                argv, env=self._environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=complained,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(child)
            said.seek(0)
            complained.seek(0)
            lines = said.read().decode().splitlines()
            if lines and lines[-1].startswith("{"):
                return json.loads(lines[-1])  # it may still have failed to close its pool
            if code is None:
                raise Failed(f"no end after {LIMIT:g} s")
            raise Failed((complained.read().decode().strip().splitlines() or [f"exit code {code}"])[-1])


def _end(child):
    """End what is left of its session. Those who tidy up after a pool that broke get a moment for it."""
    group = child.pid
    if child.poll() is not None:
        deadline = time.monotonic() + GRACE
        while _is_there(group) and time.monotonic() < deadline:
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    child.wait()


def _is_there(group):
    """Whether somebody of it is alive; those who wait to be reaped are not."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            state, _, found = file.read().rpartition(")")[2].split()[:3]
            if int(found) == group and state not in "ZX":
                return True
    return False
