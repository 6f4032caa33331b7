"""A short soak: ours are killed at random under load; no app notices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux

pytestmark = [pytest.mark.real, needs_linux]

SOAK = Path(__file__).parents[2] / "scripts" / "soak" / "soak.py"


@pytest.mark.skipif(not SOAK.exists(), reason="the scripts are not here")
def test_soak(rook, tmp_path):
    seconds = 5
    environ = {**rook.environ, "TMPDIR": str(tmp_path), "ROOK": os.path.join(os.path.dirname(sys.executable), "rook")}
    command = [sys.executable, str(SOAK), "--seconds", str(seconds), "--seed", "3"]
    try:
        ran = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=seconds + 2 * DEADLINE
        )
    finally:
        for home in tmp_path.glob("rookery-soak-*/home"):
            type(rook)(tmp_path, home).end()
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "upgrades" in ran.stdout
    assert ", 0 failed" in ran.stdout
