"""The pytest plugin: ``-p rookery.testing.plugin``. Every test is checked for what it leaves behind.

``@pytest.mark.leaks("thread")`` lets a test leave things whose description holds one of the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rookery._os import kernel
from rookery.testing import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Make the run a subreaper, so that escaped grandchildren come back and are found."""
    config.addinivalue_line("markers", "leaks(*words): this test may leave things behind whose description has a word")
    kernel.set_subreaper(True)


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves descriptors, processes, threads, handlers or settings behind."""
    before = leaks.take()
    yield
    left = leaks.differences(before)
    marker = request.node.get_closest_marker("leaks")
    words = marker.args if marker else ()
    left = [one for one in left if not any(word in one for word in words)]
    if left:
        leaks.clean_up(before)
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)
