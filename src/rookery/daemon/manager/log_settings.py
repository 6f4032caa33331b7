"""What the collector is told about each stream of an instance."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rookery.logs.names import combined_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.config.spec import AppSpec

STREAMS = ("out", "err")
Streams = dict[str, dict[str, Any]]


def stream_settings(spec: AppSpec, index: int, paths: tuple[str, str]) -> Streams:
    """The settings of both streams, as they go over the wire. paths: of the out and the err log."""
    logs = spec.logs
    pattern = logs.timestamps if isinstance(logs.timestamps, str) else "iso" if logs.timestamps else ""
    return {
        stream: {
            "path": path,
            "max_size": logs.max_size,
            "keep": logs.keep,
            "timestamps": bool(logs.timestamps),  # for collectors that know no format
            "rotate": logs.rotate,
            "compress": logs.compress,
            "on_full": logs.on_full,
            "combined": combined_path(os.path.dirname(path), spec.name) if logs.combined else "",
            "format": {
                "timestamps": pattern,
                "prefix": f"{spec.name}:{index} | " if logs.prefix else "",
                "json": logs.json,
                "app": spec.name,
                "instance": index,
                "stream": stream,
            },
        }
        for stream, path in zip(STREAMS, paths, strict=True)
    }


def writer_of(stream: Mapping[str, Any]) -> str:
    """Whose stream it is, by its settings: ``name:index``."""
    return f"{stream['format']['app']}:{stream['format']['instance']}"
