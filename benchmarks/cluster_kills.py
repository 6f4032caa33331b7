"""Workers killed at random under load: is anything lost but what the killed worker had in its hands?"""

import contextlib
import os
import random
import signal
import time

from cluster_load import Load

SLACK = 0.05
"""Seconds between our reading of the clock and the end of the victim."""
KNOWN = 0.5
"""Seconds after its end until a client has noticed for sure, by a reset or the end of the answer."""
NEVER = ("late", "refused", "status", "malformed")
"""Nothing of that comes from losing a connection."""


class Killed:
    def __init__(self, result, kills):
        self.result, self.kills = result, kills
        """kills: (CLOCK_MONOTONIC seconds, pid) of each."""
        lost = [self._victim(failure) for failure in result.failures]
        self.in_flight = len([at for at in lost if at is not None])
        """Requests on connections of the victim, of stale ones too."""
        self.others = result.hard + result.stale - self.in_flight
        self.most = max((lost.count(at) for at, _ in kills), default=0)
        """Lost by one kill."""

    def _victim(self, failure):
        kind, _, opened, _, failed, worker, _ = failure
        if kind in NEVER:
            return None
        for at, pid in self.kills:
            if opened <= at + SLACK and at - SLACK <= failed <= at + KNOWN and worker in (0, pid):
                return at
        return None


def kill_at_random(server, *, seconds, rate, distance, seed=1):
    """One of its workers each distance seconds, give or take a half. The server runs already. Raises Failed."""
    dice, kills, end = random.Random(seed), [], time.monotonic() + seconds
    with Load(server.port, rate) as load:
        while time.monotonic() < end:
            time.sleep(distance * dice.uniform(0.5, 1.5))
            if pids := sorted(server.workers()):
                victim = dice.choice(pids)
                with contextlib.suppress(ProcessLookupError):
                    kills.append((time.monotonic(), victim))
                    os.kill(victim, signal.SIGKILL)
        time.sleep(distance)
        return Killed(load.end(), kills)
