"""A clustered app under rook up: the same settings as under the manager, but for what a keeper does there."""

from __future__ import annotations

import dataclasses

import pytest

from rookery.apps.edition import settings_of
from rookery.config.spec import AppSpec, ReadinessSpec
from rookery.daemon.up.serving import cluster_of

KINDS = {
    "app": {"app": "shop:app", "options": {"root_path": "/x"}},
    "wsgi": {"app": "shop:app", "command": ("/bin/python", "-v")},
    "node": {"command": ("/bin/node", "server.js")},
    "command": {"command": ("/bin/x", "{fd}"), "readiness": ReadinessSpec(notify=True)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_are_those_of_the_manager(kind):
    numbers = {"drain_timeout": 3.0, "max_requests": 7, "worker_timeout": None, "backlog": 9, "max_surge": 2}
    given = {"command": ("/bin/python",), "bind": ("127.0.0.1:0", "unix:/run/x"), **numbers, **KINDS[kind]}
    spec = AppSpec(name="web", kind=kind, cwd="/", instances=1, **given)
    settings = cluster_of(spec).settings
    assert settings == dataclasses.replace(settings_of(spec, {}), env={}, options=spec.options)
    assert settings.options.get("orphan") is None
