"""What this machine has; tests say by these marks what they need. And copies of the package, to break."""

from __future__ import annotations

import os
import shutil

import pytest

import rookery
from rookery._os import kernel

DEADLINE = 20.0
"""Seconds that anything real may take before a test gives up: generous, the machine may be busy."""

MAY_BE_MISSING: frozenset[str] = frozenset()
"""Reasons for which a test may be skipped even where nothing else may: what a kernel or a container refuses."""

needs_linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_pidfd = pytest.mark.skipif(not kernel.has_pidfd(), reason="this kernel has no pidfd")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


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
