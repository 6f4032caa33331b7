"""CPython's own tests of executors, with a ProcessPool in the place of ProcessPoolExecutor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from pool_harness import Strangers

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

PROGRAM = Path(__file__).parent / "programs" / "executor_suite.py"
LIMIT = 200
SHARES = 3
LEAST = 40
"""Fewer tests than this, and the suite was not found as it is known."""


def _suite():
    """The folder of the standard library's tests of this very version, or None. CPYTHON_TESTS: where else it may be."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folders = [sysconfig.get_path("stdlib"), f"/usr/lib/python{version}", f"/usr/local/lib/python{version}"]
    for folder in filter(None, [os.environ.get("CPYTHON_TESTS"), *folders]):
        tests = Path(folder) / "test"
        if (tests / "support").is_dir() and [*tests.glob("test_concurrent_futures*")]:
            return tests
    return None


SUITE = _suite()


@pytest.mark.skipif(SUITE is None, reason="the standard library's tests are not installed")
def test_cpythons_tests_of_executors(tmp_path):
    os.symlink(SUITE, tmp_path / "test")
    environment = {**os.environ, "SUITE": str(tmp_path), "SHARES": str(SHARES)}
    with Strangers():
        shares = [
            subprocess.Popen(
                [sys.executable, PROGRAM],
                env={**environment, "SHARE": str(number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(SHARES)
        ]
        try:
            said = [share.communicate(timeout=LIMIT)[0] for share in shares]
        finally:
            for share in shares:
                share.kill()
                share.wait()
    for share, text in zip(shares, said, strict=True):
        assert share.returncode == 0, text[-8000:]
    counts = [re.search(r"^ran (\d+) failed 0 skipped (\d+)$", text, re.MULTILINE) for text in said]
    assert all(counts), said
    ran = sum(int(count[1]) for count in counts)
    skipped = sum(int(count[2]) for count in counts)
    assert ran - skipped >= LEAST, f"ran {ran}, skipped {skipped}"
