"""Rolling reloads under load: who fails how many requests?"""

import time

from cluster_load import Load
from running import Failed

PAUSE = 0.4
"""Seconds between two reloads."""


class Rolled:
    """What a server did with its clients while it was reloaded."""

    def __init__(self, result, took, why):
        self.result, self.took, self.why = result, took, why
        """took: seconds of each reload; why: the text of what ended them before their time, or None."""


def roll(server, *, reloads, rate, limit):
    """Reload under load, until the seconds of the limit are over. The server runs already. Raises Failed."""
    took, why, end = [], None, time.monotonic() + limit
    with Load(server.port, rate) as load:
        time.sleep(PAUSE)
        try:
            while len(took) < reloads and time.monotonic() < end:
                took.append(server.reload())
                time.sleep(PAUSE)
        except Failed as failed:
            why = str(failed)
        return Rolled(load.end(), took, why)
