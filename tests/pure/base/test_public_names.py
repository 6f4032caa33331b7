"""What ``import rookery`` offers."""

from __future__ import annotations

import subprocess
import sys

import rookery


def test_the_list_is_sorted_whole_and_true():
    assert rookery.__all__ == sorted(rookery.__all__)
    assert set(rookery.__all__) == {*rookery._PUBLIC, "__version__"}
    for name in rookery.__all__:
        assert getattr(rookery, name) is not None


def test_importing_it_loads_nothing_of_it():
    loaded = "name for name in sys.modules if name.startswith(('rookery.', 'ctypes', 'numpy'))"
    code = f"import sys, rookery; print(*[{loaded}])"
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"
