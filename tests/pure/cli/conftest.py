from __future__ import annotations

import os
import sys
from typing import NamedTuple

import pytest

# The fake manager serves the tests of both sides: what control sends, and what rook makes of the answers.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "control"))

from fake_manager import FakeManager

from rookery.cli.main import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    place = str(tmp_path / "home")
    monkeypatch.setenv("ROOKERY_HOME", place)
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def manager(home):
    with FakeManager(home) as fake:
        yield fake


@pytest.fixture
def rook(home, capsys):
    def run(*argv):
        code = main(argv)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
