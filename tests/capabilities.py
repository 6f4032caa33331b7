"""What this machine has; tests say by these marks what they need. And copies of the package, to break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import rookery
from rookery._os import kernel

DEADLINE = 20.0
"""Seconds that anything real may take before a test gives up: generous, the machine may be busy."""

MAY_BE_MISSING: frozenset[str] = frozenset()
"""Reasons for which a test may be skipped even where nothing else may: what a kernel or a container refuses."""

needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
needs_linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_pidfd = pytest.mark.skipif(not kernel.has_pidfd(), reason="this kernel has no pidfd")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")


def _may_unshare() -> bool:
    """Whether new namespaces of processes and mounts may be made; in many containers not."""
    if shutil.which("unshare") is None:
        return False
    script = "mount -t tmpfs -o size=64k none /mnt"
    command = ["unshare", "-fpm", "--mount-proc", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_unshare = pytest.mark.skipif(not _may_unshare(), reason="new namespaces may not be made here")


NOBODY = {"user": 65534, "group": 65534, "extra_groups": ()}
"""Options of Popen; only root may use them."""


def _common_python() -> str:
    """A Python of our version that any user may run; "" where there is none. Ours may lie in somebody's home."""
    if os.geteuid() != 0:
        return ""
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        command = [path, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
        try:
            ran = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **NOBODY)
        except OSError:
            continue
        if ran.stdout.split() == [str(number) for number in sys.version_info[:2]]:
            return path
    return ""


COMMON_PYTHON = _common_python()
needs_common_python = pytest.mark.skipif(not COMMON_PYTHON, reason="no Python of this version that nobody may run")


def copy_package(folder, *edits):
    """The package copied below a folder, each edit (file, text, replacement) done once; what PYTHONPATH is to be."""
    source = os.path.dirname(os.path.abspath(rookery.__file__))
    # The compiled files come with it: their dates still fit, so a copy starts as fast as the original.
    shutil.copytree(source, os.path.join(folder, "rookery"), ignore=shutil.ignore_patterns("*.pyc.*"))
    for name, text, replacement in edits:
        path = os.path.join(folder, "rookery", name)
        with open(path) as file:
            before = file.read()
        assert before.count(text) == 1, f"{text!r} is in {name} {before.count(text)} times"
        with open(path, "w") as file:
            file.write(before.replace(text, replacement))
    return str(folder)
