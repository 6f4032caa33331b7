"""What this machine has; tests say by these marks what they need."""

from __future__ import annotations

import os
import shutil

import pytest

from rookery._os import kernel

DEADLINE = 20.0
"""Seconds that anything real may take before a test gives up: generous, the machine may be busy."""

needs_linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_pidfd = pytest.mark.skipif(not kernel.has_pidfd(), reason="this kernel has no pidfd")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
