"""What ``import rookery`` offers."""

from __future__ import annotations

import subprocess
import sys

import rookery


def test_the_list_is_sorted_whole_and_true():
    # Constants first, then classes, then functions: the order that ruff keeps.
    kind = {True: 0, False: 1}
    order = sorted(rookery.__all__, key=lambda name: (kind[name.isupper()] if name[0].isupper() else 2, name))
    assert rookery.__all__ == order
    assert set(rookery.__all__) == {*rookery._PUBLIC, "__version__"}
    for name in rookery.__all__:
        assert getattr(rookery, name) is not None


def test_importing_it_loads_nothing_of_it():
    loaded = "name for name in sys.modules if name.startswith(('rookery.', 'ctypes', 'numpy'))"
    code = f"import sys, rookery; print(*[{loaded}])"
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"
