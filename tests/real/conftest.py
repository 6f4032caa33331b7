"""A home of its own for each test that needs one, the real ``rook``, and an end for everything that ran in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from collector_harness import Collector

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.control import places
from rookery.control.client import Client
from rookery.errors import ControlError
from rookery.testing import wait_until

BIN = os.path.dirname(sys.executable)
PROGRAMS = Path(__file__).parent / "programs"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Rook:
    """``rook(*args)`` runs the real command for this home."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = str(home)
        self.environ = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "ROOKERY_HOME": self.home}
        self._strangers = set(kernel.children(os.getpid()))
        self.programs = PROGRAMS

    def popen(self, *args: object, **options) -> subprocess.Popen:
        command = [os.path.join(BIN, "rook"), *map(str, args)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=self.environ, cwd=self.folder, **options)

    def __call__(self, *args: object) -> Ran:
        with self.popen(*args) as process:
            try:
                out, err = process.communicate(timeout=DEADLINE)
            except BaseException:
                process.kill()
                raise
        return Ran(process.returncode, out, err)

    def ok(self, *args: object) -> str:
        """What a command says that must end with 0."""
        ran = self(*args)
        assert ran.code == 0, f"rook {' '.join(map(str, args))} ended with {ran}"
        return ran.out

    def json(self, *args: object):
        return json.loads(self.ok(*args, "--json"))

    def start(self, program: str, name: str, *args: object, wait: str = "started", options=()) -> dict:
        """Start one of the programs; its row."""
        self.ok("start", PROGRAMS / program, "--name", name, "--wait", wait, *options, "--", *args)
        return self.row(name)

    # Asked without the command: it costs a tenth of the time.

    def get(self, path: str):
        return Client(self.home).request("GET", path)[1]

    def rows(self, name: str | None = None) -> list[dict]:
        return [row for row in self.get("/v1/instances") if name in (None, row["name"])]

    def row(self, name: str) -> dict:
        (row,) = self.rows(name)
        return row

    def ping(self) -> dict | None:
        with suppress(ControlError):
            return self.get("/v1/ping")
        return None

    def wait_for(self, name: str, **fields) -> dict:
        """Wait until the row of an app has these values, and return it."""

        def seen():
            row = self.row(name)
            return row if all(row[field] == value for field, value in fields.items()) else None

        return wait_until(seen, DEADLINE, f"{name} with {fields}")

    @staticmethod
    def kill(pid: int, number: int = signal.SIGKILL) -> None:
        """Signal it; after SIGKILL wait until it is gone."""
        started = kernel.start_time(pid)
        if started is not None:
            kernel.signal_process(pid, started, number)
            if number == signal.SIGKILL:
                wait_until(lambda: not kernel.is_alive(pid, started), DEADLINE, f"the end of pid {pid}")

    def kill_manager(self) -> int:
        """kill -9, and wait until it is gone; its pid."""
        pid = self.ping()["pid"]
        self.kill(pid)
        return pid

    def next_manager(self, old: int) -> dict:
        return wait_until(lambda: (ping := self.ping()) and ping["pid"] != old and ping, DEADLINE, "the next manager")

    def log(self, name: str, stream: str = "out", index: int = 0) -> list[str]:
        path = os.path.join(self.home, "logs", f"{name}-{index}.{stream}.log")
        return Path(path).read_text().splitlines() if os.path.exists(path) else []

    @property
    def scope(self) -> str:
        with suppress(OSError):
            return Path(places.scope_file(self.home)).read_text().strip()
        return ""

    @property
    def manager_log(self) -> str:
        path = places.manager_log(self.home)
        return Path(path).read_text() if os.path.exists(path) else ""

    @property
    def run_folder(self) -> str:
        return os.path.realpath(os.path.join(self.home, "run"))

    def processes(self) -> dict[int, str]:
        """Everything that belongs to the home: by its path in the command or environment, or by the cookie."""
        found = {}
        for process in kernel.processes():
            command = kernel.command_line(process.pid)
            home = kernel.environ_value(process.pid, "ROOKERY_HOME")
            cookie = kernel.environ_value(process.pid, "ROOKERY_UNIT") or ""
            mine = self.home in command or home == self.home or (self.scope and cookie.startswith(self.scope + ":"))
            if mine and process.pid != os.getpid():
                found[process.pid] = " ".join(command)
        return found

    @staticmethod
    def _reap() -> set[int]:
        """Take the status of all children that have ended; who is left. No command of a test runs any more."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return set(kernel.children(os.getpid()))

    def end(self) -> None:
        """Stop everything; kill what is left, and reap what has come to us: we are the subreaper."""
        run = self.run_folder
        if os.path.isdir(self.home):
            self("kill", "--timeout", "15s")
        for pid in self.processes():
            self.kill(pid)
        wait_until(lambda: self._reap() <= self._strangers, DEADLINE, "the end of all that came back to us")
        for name in os.listdir(run) if os.path.isdir(run) else ():
            path = os.path.join(run, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        with suppress(OSError):
            os.rmdir(run)


@pytest.fixture
def rook(tmp_path, request):
    runner = Rook(tmp_path, tmp_path / "home")
    yield runner
    runner.end()
    if getattr(request.node, "rep_call", None) is not None and request.node.rep_call.failed:
        print(f"--- manager.log\n{runner.manager_log[-6000:]}")


@pytest.fixture(scope="module")
def lasting_rook(tmp_path_factory):
    """One home for all tests of a module that only look: what runs in it is the same afterwards."""
    folder = tmp_path_factory.mktemp("lasting")
    runner = Rook(folder, folder / "home")
    yield runner
    runner.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.rep_call = report


@pytest.fixture
def collector(tmp_path):
    """A collector without a manager."""
    collector = Collector(tmp_path)
    yield collector
    collector.close()
    assert "Traceback" not in collector.said()
