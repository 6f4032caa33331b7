"""Gives instances their pipes; see Outfitter."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from rookery.daemon.manager.plumbing import NOTIFY_FOLDER, InstancePlumbing

if TYPE_CHECKING:
    from rookery.apps.outfit import Wants
    from rookery.daemon.manager.collector_client import CollectorClient
    from rookery.daemon.manager.keeper_client import KeeperClient


class KeptOutfitter:
    """Pipes in the keeper, read by the collector."""

    def __init__(self, keeper: KeeperClient, collector: CollectorClient, run_folder: str) -> None:
        self._keeper = keeper
        self._collector = collector
        self._run_folder = run_folder
        self.given: WeakSet[InstancePlumbing] = WeakSet()
        """All, each for as long as its unit is there."""

    def sweep(self, in_use: set[str]) -> None:
        """Remove the names of notify sockets of copies that are gone. in_use: of those that are not."""
        folder = os.path.join(self._run_folder, NOTIFY_FOLDER)
        with suppress(OSError):
            for name in set(os.listdir(folder)) - in_use:
                os.unlink(os.path.join(folder, name))

    def outfit(self, wants: Wants) -> InstancePlumbing:
        """See Outfitter."""
        plumbing = InstancePlumbing(wants, run_folder=self._run_folder, keeper=self._keeper, collector=self._collector)
        self.given.add(plumbing)
        return plumbing
