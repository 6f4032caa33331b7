"""Running a cluster as a program: signals in, until it is to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from rookery.errors import ClusterError, RookeryError
from rookery.process.hooks import on_signal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rookery.cluster.cluster import Cluster

_log = logging.getLogger("rookery.cluster")


async def serve(cluster: Cluster) -> None:
    """See Cluster.serve."""
    ends = asyncio.Event()
    again = asyncio.Event()
    works: set[asyncio.Task[None]] = set()

    def end(number: int) -> None:
        _log.info("%s: leaving", signal.Signals(number).name)
        (again if ends.is_set() else ends).set()

    def do(what: Callable[[], Awaitable[object]]) -> None:
        async def quietly() -> None:
            try:
                await what()
            except RookeryError as error:  # what it was asked for did not come off: it serves on
                _log.error("%s", error)

        if not ends.is_set():
            task = asyncio.ensure_future(quietly())
            works.add(task)
            task.add_done_callback(works.discard)

    removes = [on_signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)]
    removes += [on_signal(number, lambda _: do(cluster.reload)) for number in (signal.SIGHUP, signal.SIGUSR2)]
    removes.append(on_signal(signal.SIGTTIN, lambda _: do(lambda: cluster.scale(cluster.size + 1))))
    removes.append(on_signal(signal.SIGTTOU, lambda _: do(lambda: cluster.scale(max(1, cluster.size - 1)))))
    try:
        await _first(cluster.start(), ends.wait())
        failure = None if ends.is_set() else await _first(_failure(cluster), ends.wait())
        await _hurried(cluster, again)
        if failure:
            raise ClusterError("every worker has been given up", why=str(failure))
    finally:
        for task in works:
            task.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        with suppress(RookeryError):
            await cluster.stop()
        for remove in removes:
            remove()


async def _failure(cluster: Cluster) -> str:
    while not cluster.failure:
        await cluster.changed()
    return cluster.failure


async def _first(work: Awaitable[object], end: Awaitable[object]) -> object:
    """What work gives, or None where the end comes first; then work is cancelled."""
    main, ending = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait({main, ending}, return_when=asyncio.FIRST_COMPLETED)
        return main.result() if main.done() else None
    finally:
        for task in (main, ending):
            task.cancel()
        await asyncio.gather(main, ending, return_exceptions=True)


async def _hurried(cluster: Cluster, again: asyncio.Event) -> None:
    """Stop; when the end is asked for once more, at once."""
    stopping, told = asyncio.ensure_future(cluster.stop()), asyncio.ensure_future(again.wait())
    try:
        await asyncio.wait({stopping, told}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stopping.cancel()
            await asyncio.sleep(0)
            stopping.cancel()  # twice: no time for drains
        with suppress(asyncio.CancelledError):
            await stopping
    finally:
        told.cancel()
