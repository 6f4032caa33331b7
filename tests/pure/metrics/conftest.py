import pytest

from rookery.testing.fake_table import FakeTable


@pytest.fixture
def table(monkeypatch):
    fake = FakeTable()
    fake.install(monkeypatch)
    return fake
