"""Puts this folder on the path (``import capabilities`` in any test), and watches skips where none may be.

With ROOKERY_NOTHING_SKIPPED=1 (CI, which installs what tests need) a skipped test fails the run, unless its reason is a
row of capabilities.MAY_BE_MISSING.
"""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

import capabilities

# How long an example takes says more of the machine than of what it shows.
settings.register_profile("rookery", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rookery")

_skipped: list[tuple[str, str]] = []


def pytest_configure():
    """Who is run in the background of a script ignores some signals, and so would all that tests start."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """What collection made stays: some hundred thousand objects that the garbage collector need not look at again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append((report.nodeid, reason.removeprefix("Skipped: ")))


def pytest_sessionfinish(session, exitstatus):
    if os.environ.get("ROOKERY_NOTHING_SKIPPED") != "1":
        return
    wrong = [(test, reason) for test, reason in _skipped if reason not in capabilities.MAY_BE_MISSING]
    for test, reason in wrong:
        print(f"\nskipped where nothing may be: {test}: {reason}")
    if wrong and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
