"""What the guide and the example show is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_linux
from rookery._os import kernel
from rookery.ipc import shared_names
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux]

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "shared-counter.md"


def run(*command, cwd):
    ran = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=3 * DEADLINE, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_the_guide(tmp_path):
    text = GUIDE.read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(promised) == 3
    assert run("-c", code, cwd=tmp_path) == promised
    assert not os.path.exists(os.path.join(shared_names.folder(), "temperatures"))


def test_the_example(tmp_path):
    ours = set(kernel.children(os.getpid()))
    (line,) = run(str(ROOT / "examples" / "ipc" / "shared_counter.py"), cwd=tmp_path)
    number = int(re.findall(r"[0-9]+", line)[0])
    assert 2 * 20_000 < number <= 4 * 20_000

    def has_gone():
        """multiprocessing's own tracker ends after its program, and comes to us then."""
        left = set(kernel.children(os.getpid())) - ours
        return all(os.waitpid(pid, os.WNOHANG)[0] for pid in left)

    wait_until(has_gone, DEADLINE, "the end of all that it started")


def test_the_benchmark(monkeypatch):
    """The figures of the reference, with room for a busy machine."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import shared

    by_mapping, by_pickle = shared.hand_over(100_000_000, 3)
    print(f"{by_mapping * 1000:.1f} ms, {by_pickle * 1000:.1f} ms")
    assert by_pickle > 10 * by_mapping
