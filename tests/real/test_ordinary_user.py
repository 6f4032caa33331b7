"""A wheel, installed where everybody can read it, and used by a user who may nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from capabilities import COMMON_PYTHON, DEADLINE, NOBODY, needs_common_python, needs_linux
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

ROOT = Path(__file__).parents[2]
NEEDED = ("msgspec", "starlette", "uvicorn", "anyio", "h11", "click", "idna", "typing_extensions")


@pytest.fixture(scope="module")
def installed():
    """A folder with what the wheel holds and what it needs; pytest's own folders are for root alone."""
    with tempfile.TemporaryDirectory(prefix="rookery-wheel-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tree = folder / "tree"
        tree.mkdir()
        for one in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / one, tree)
        shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=60)
        (wheel,) = folder.glob("*.whl")
        site = folder / "site"
        with zipfile.ZipFile(wheel) as file:
            file.extractall(site)
        for one in NEEDED:
            origin = importlib.util.find_spec(one).origin
            if origin.endswith("__init__.py"):
                shutil.copytree(os.path.dirname(origin), site / one)
            else:
                shutil.copy(origin, site)
        yield site


class User:
    """``rook`` as nobody, whose home is the given folder."""

    def __init__(self, site, home):
        self.site, self.home = site, home
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(site)}

    def __call__(self, *args):
        return subprocess.run(
            [COMMON_PYTHON, "-m", "rookery", *map(str, args)],
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
            **NOBODY,
        )

    def ok(self, *args):
        ran = self(*args)
        assert ran.returncode == 0, ran
        return ran.stdout

    def processes(self):
        home = str(self.home)
        return [one.pid for one in kernel.processes() if home in " ".join(kernel.command_line(one.pid))]


@pytest.fixture(params=[0, 150], ids=["short", "long"])
def user(installed, request):
    """Homes with a short path, and with one that fits in no socket's address."""
    with tempfile.TemporaryDirectory(prefix="rookery-user-") as name:
        os.chmod(name, 0o755)
        home = Path(name, "x" * max(4, request.param - len(name) - 1))
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY["user"], NOBODY["group"])
        found = User(installed, home)
        ours = set(kernel.children(os.getpid()))
        yield found
        found("kill")
        for pid in found.processes():
            kernel.signal_process(pid, kernel.start_time(pid) or 0, 9)
        for pid in set(kernel.children(os.getpid())) - ours:  # the tests' process is the subreaper
            os.waitpid(pid, 0)


@needs_common_python
def test_all_of_a_day(user):
    script = 'echo "I am $(id -u)"; exec sleep 1000'
    user.ok("start", "--name", "app", "--wait", "started", "--", "/bin/sh", "-c", script)
    (row,) = json.loads(user.ok("list", "--json"))
    assert row["state"] == "running"
    ping = json.loads(user.ok("ping", "--json"))
    assert ping["home"] == str(user.home / ".local/state/rookery")
    for pid in (row["pid"], ping["pid"], ping["keeper_pid"], ping["collector_pid"]):
        assert os.stat(f"/proc/{pid}").st_uid == NOBODY["user"]
    said = f"I am {NOBODY['user']}"
    wait_until(lambda: said in user.ok("logs", "app"), DEADLINE, "its output")
    user.ok("restart", "app", "--wait", "started")
    user.ok("stop", "app")
    assert json.loads(user.ok("list", "--json"))[0]["state"] == "stopped"
    user.ok("kill")
    assert user.processes() == []


def test_a_home_with_a_long_path(rook):
    """The same as whoever runs the tests."""
    rook.home = os.path.join(rook.home, "x" * max(4, 150 - len(rook.home) - 1))
    os.makedirs(rook.home, mode=0o700)
    rook.environ["ROOKERY_HOME"] = rook.home
    rook.start("idle.py", "app")
    assert rook.json("list")[0]["state"] == "running"
    rook.ok("stop", "app")
    rook.ok("kill")
    assert rook.processes() == {}
