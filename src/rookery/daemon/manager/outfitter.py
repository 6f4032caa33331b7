"""Gives instances their pipes; see Outfitter."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from rookery.daemon.manager.plumbing import InstancePlumbing, Wants

if TYPE_CHECKING:
    from collections.abc import Callable

    from rookery.config.spec import AppSpec
    from rookery.daemon.manager.collector_client import CollectorClient
    from rookery.daemon.manager.keeper_client import KeeperClient
    from rookery.process.spec import SpawnSpec


class KeptOutfitter:
    """Pipes in the keeper, read by the collector."""

    def __init__(self, keeper: KeeperClient, collector: CollectorClient, run_folder: str) -> None:
        self._keeper = keeper
        self._collector = collector
        self._run_folder = run_folder
        self.given: WeakValueDictionary[str, InstancePlumbing] = WeakValueDictionary()
        """By unit, for as long as the unit is there."""

    def outfit(
        self,
        unit: str,
        make_spec: Callable[[], SpawnSpec],
        *,
        index: int,
        spec: Callable[[], AppSpec],
        paths: Callable[[], tuple[str, str]],
        on_words: Callable[[dict[str, str]], None],
    ) -> InstancePlumbing:
        """See Outfitter."""
        plumbing = self.given[unit] = InstancePlumbing(
            Wants(unit, index, spec, make_spec, paths, on_words),
            run_folder=self._run_folder,
            keeper=self._keeper,
            collector=self._collector,
        )
        return plumbing
