"""Waiting for what becomes of an upgrade: this manager is replaced, or stays."""

from __future__ import annotations

import asyncio

from rookery import errors

_WITHIN = 30.0


class Upgrade:
    """One at a time. One event loop."""

    def __init__(self) -> None:
        self._result: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Return when another manager has taken over. Raises OperationFailed when this one stays in charge."""
        if self._result is not None:
            raise errors.OperationFailed("an upgrade is under way already")
        self._result = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(asyncio.shield(self._result), _WITHIN)
        except TimeoutError:
            raise errors.OperationFailed("nothing was heard of the new manager", hint="see manager.log") from None
        finally:
            self._result = None

    def failed(self, why: str) -> None:
        """The candidate is gone."""
        if self._result is not None and not self._result.done():
            self._result.set_exception(
                errors.OperationFailed(
                    "the new version did not become ready; this one stays in charge", why=why, hint="see manager.log"
                )
            )

    def replaced(self) -> None:
        """Another manager has the lease."""
        if self._result is not None and not self._result.done():
            self._result.set_result(None)
