"""A program's ``__main__`` in the middle of a test run, and a worker that has none of it."""

from __future__ import annotations

import sys
from types import ModuleType


class Program:
    """``program.run(source)`` executes source as the program; ``program.name`` reads a global name of it."""

    def __init__(self):
        self.module = ModuleType("__main__")
        self.other = ModuleType("__main__")

    def run(self, source, **names):
        self.module.__dict__.update(names)
        exec(source, self.module.__dict__)

    def __getattr__(self, name):
        return self.module.__dict__[name]

    def __enter__(self):
        sys.modules["__main__"] = self.module

    def __exit__(self, *_):
        sys.modules["__main__"] = self.other
