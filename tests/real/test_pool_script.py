"""Functions and classes of a script in a process that knows nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from capabilities import DEADLINE

pytestmark = pytest.mark.real
PROGRAM = os.path.join(os.path.dirname(__file__), "programs", "pool_functions.py")


def test_a_script_s_own_functions_and_classes():
    ran = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "initializer": "loaded",
        "steps": [2, 11],
        "table": [1, 2],
        "cached": 11,
        "point": 11,
        "method": 15,
        "methods are ours": True,
        "class": True,
        "lambda": [1, 2],
        "trouble": ["in trouble", 7, True],
        "large": True,
    }
