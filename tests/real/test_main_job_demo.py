"""``make demo`` works and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE
from rookery._os import kernel

pytestmark = pytest.mark.real
DEMO = Path(__file__).parents[2] / "examples" / "demo" / "demo.py"


@pytest.mark.usefixtures("rook")  # it takes the status of what comes back to us
def test_the_demo(tmp_path):
    environ = {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, DEMO], env=environ, capture_output=True, text=True, timeout=DEADLINE * 2, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "0 failed; pids unchanged" in done.stdout
    assert "0 failed; new pids: web-py, web-py:1" in done.stdout
    assert os.listdir(tmp_path) == []
    left = [" ".join(kernel.command_line(process.pid)) for process in kernel.processes()]
    assert [command for command in left if str(tmp_path) in command] == []
