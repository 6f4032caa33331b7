"""Tools for tests of and with rookery: a clock that jumps, processes that do as told, waits, leak checks.

Nothing of the product imports this package. ``rookery.testing.plugin`` is the pytest plugin with the leak check.
"""

from rookery.testing.clock import FakeClock
from rookery.testing.fake_process import FakeProcess, FakeSpawner
from rookery.testing.wait import wait_until

__all__ = ["FakeClock", "FakeProcess", "FakeSpawner", "wait_until"]
