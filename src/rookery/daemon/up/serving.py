"""A clustered app under ``rook up``: one child, which owns the sockets and has the instances as its workers.

rook up ──► python -I -c '...; main()' (this file; Cluster.serve) ──► workers
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import sys
from typing import Any

import msgspec

from rookery.apps.edition import settings_of
from rookery.cluster.cluster import Cluster
from rookery.config.spec import AppSpec, ReadinessSpec
from rookery.control import places
from rookery.errors import RookeryError

_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.up.serving import main; main()"
_ORDERS = "ROOKERY_SERVE"
_MARGIN = 5.0
"""Seconds beyond its workers' time that it has to end."""


def as_one(spec: AppSpec) -> AppSpec:
    """The app as a single process that serves it; as it is where it is not clustered."""
    if not spec.bind:
        return spec
    return msgspec.structs.replace(
        spec,
        command=(sys.executable, "-I", "-c", _CODE, places.package_root(), spec.name),
        env={**spec.env, _ORDERS: msgspec.json.encode(spec).decode()},
        instances=1,
        bind=(),
        stop_signal="SIGTERM",
        stop_scope="leader",
        graceful_timeout=spec.drain_timeout + spec.graceful_timeout + _MARGIN,
        readiness=ReadinessSpec(),
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT; the exit code is 0 then, 1 where it cannot serve."""
    spec = msgspec.json.decode(os.environ.pop(_ORDERS), type=AppSpec)
    logging.basicConfig(level=logging.WARNING, format="rook: %(message)s")
    try:
        asyncio.run(cluster_of(spec).serve())
    except RookeryError as error:
        sys.stderr.write(f"rook: {error}\n")
        sys.exit(1)


def cluster_of(spec: AppSpec) -> Cluster:
    """The app as a cluster of this process, in its folder and with its environment. Raises UsageError."""
    settings = settings_of(spec, {})
    given: dict[str, Any] = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    given["bind"] = [str(bind) for bind in settings.bind]
    # Workers find this process's environment anyway, and nobody holds their sockets when it is gone: they are not to
    # serve on as they do below a keeper.
    given |= {"env": {}, "options": spec.options}
    return Cluster(**given)
