"""Which kernel features are there: probed once, each with a fallback.

``ROOKERY_WITHOUT=pidfd,subreaper`` (or without() in tests) makes a feature look absent, so that every fallback can
be run on a kernel that has everything.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WITHOUT = "ROOKERY_WITHOUT"

probed: dict[str, bool] = {}
"""What is known so far, for those who ask so often that a call counts."""


def has(name: str, probe: Callable[[], bool]) -> bool:
    """Whether the feature is there; probe() is asked once per process. An OSError means no."""
    known = probed.get(name)
    if known is None:
        if name in os.environ.get(WITHOUT, "").split(","):
            known = False
        else:
            try:
                known = probe()
            except OSError:  # old container seccomp filters answer EPERM for calls they do not know
                known = False
        probed[name] = known
    return known


def known() -> dict[str, bool]:
    """What has been probed so far."""
    return dict(probed)


def forget() -> None:
    """Probe afresh on the next question (for tests)."""
    probed.clear()
