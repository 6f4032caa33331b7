from __future__ import annotations

import pytest
from fake_manager import FakeManager


@pytest.fixture
def home(tmp_path):
    return str(tmp_path / "home")


@pytest.fixture
def manager(home):
    with FakeManager(home) as fake:
        yield fake
