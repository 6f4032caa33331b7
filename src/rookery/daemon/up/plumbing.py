"""What each copy of an app writes to under ``rook up``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rookery.apps.translate import spawn_spec
from rookery.logs.maker import Format, Maker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.config.spec import AppSpec, LogSpec
    from rookery.daemon.up.output import Output
    from rookery.process.spec import SpawnSpec


def needs_output(specs: Sequence[AppSpec]) -> bool:
    """Whether the apps write to pipes of ours; an app that is alone writes to our own output as it is.

    Not so where its lines are to be changed, or where it runs as somebody else, who may not open /dev/stdout anew (a
    terminal stays a terminal all the same).
    """
    if len(specs) != 1 or specs[0].instances != 1:
        return True
    spec = specs[0]
    is_other = spec.user is not None or spec.group is not None
    return _is_made(spec.logs) or (is_other and not sys.stdout.isatty())


def _is_made(logs: LogSpec) -> bool:
    return bool(logs.timestamps) or logs.prefix or logs.json


class UpPlumbing:
    """Pipes to our output, or our output itself. See Plumbing. prefixes: on stdout and on stderr."""

    def __init__(
        self,
        spec: AppSpec,
        base_env: dict[str, str],
        index: int,
        output: Output | None,
        prefixes: tuple[str, str],
    ) -> None:
        self._spec = spec
        self._base_env = base_env
        self._index = index
        self._output = output
        self._prefixes = prefixes
        self._ends: list[int] = []

    async def prepare(self, generation: int) -> SpawnSpec:  # noqa: ARG002
        """See Plumbing."""
        self._close()
        spec = spawn_spec(self._spec, self._base_env, self._index)
        if self._output is None:
            return spec._replace(fds={1: 1, 2: 2})
        for number, prefix in zip((1, 2), self._prefixes, strict=True):
            self._ends.append(self._output.pipe(number, prefix, self._maker("out" if number == 1 else "err")))
            if spec.uid is not None or spec.gid is not None:  # so that it may open /dev/stdout anew
                os.fchown(self._ends[-1], -1 if spec.uid is None else spec.uid, -1 if spec.gid is None else spec.gid)
        return spec._replace(fds={1: self._ends[0], 2: self._ends[1]})

    def _maker(self, stream: str) -> Maker | None:
        logs, name = self._spec.logs, self._spec.name
        if not _is_made(logs):
            return None
        pattern = logs.timestamps if isinstance(logs.timestamps, str) else "iso" if logs.timestamps else ""
        # Where we put a prefix of our own, one is enough.
        prefix = f"{name}:{self._index} | " if logs.prefix and not any(self._prefixes) else ""
        return Maker(
            Format(timestamps=pattern, prefix=prefix, json=logs.json, app=name, instance=self._index, stream=stream)
        )

    def _close(self) -> None:
        for fd in self._ends:
            os.close(fd)
        self._ends = []

    def started(self) -> None:
        """The child has its copies."""
        self._close()

    async def finish(self, generation: int) -> tuple[str, ...]:  # noqa: ARG002
        """See Plumbing."""
        self._close()
        return ()
