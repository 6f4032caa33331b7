"""A clustered app under ``rook up``: one child, which owns the sockets and has the instances as its workers.

rook up ──► python -I -c '...; main()' (this file; Cluster.serve) ──► workers
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

import msgspec

from rookery.apps.translate import restart_policy
from rookery.cluster.cluster import Cluster
from rookery.config.spec import AppSpec, ReadinessSpec
from rookery.control import places
from rookery.errors import RookeryError

_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.up.serving import main; main()"
_ORDERS = "ROOKERY_SERVE"
_MARGIN = 5.0
"""Seconds beyond its workers' time that it has to end."""
_KINDS = {"app": "auto", "command": "program"}


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
    app: dict[str, Any] = {"app": list(spec.command)}
    if spec.app:
        app = {"app": spec.app, "interpreter": spec.command[0], "args": spec.command[1:]}
    return Cluster(
        **app,
        kind=_KINDS.get(spec.kind, spec.kind),  # type: ignore[arg-type]
        ready="notify" if spec.readiness.notify and spec.kind == "command" else "auto",
        bind=spec.bind,
        workers=spec.instances,
        balance=spec.balance,
        name=spec.name,
        start_timeout=spec.start_timeout,
        max_surge=spec.max_surge,
        drain_timeout=spec.drain_timeout,
        linger=spec.linger,
        graceful_timeout=spec.graceful_timeout,
        max_requests=spec.max_requests,
        max_requests_jitter=spec.max_requests_jitter,
        max_lifetime=spec.max_lifetime,
        worker_timeout=spec.worker_timeout,
        request_timeout=spec.request_timeout,
        policy=restart_policy(spec),
        backlog=spec.backlog,
        options=spec.options,
    )
