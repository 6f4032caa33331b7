"""A clustered app in the words of the cluster."""

from __future__ import annotations

import pytest

from rookery.apps.edition import Edition, settings_of
from rookery.apps.translate import restart_policy, stop_plan
from rookery.config.spec import AppSpec, BackoffSpec, ReadinessSpec


def spec(**fields):
    return AppSpec(**{"name": "web", "command": ("/py", "a"), "cwd": "/srv", "bind": ("127.0.0.1:80",), **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "app", "app": "m:a"}, ("auto", "m:a", "/py", ("a",), "notify")),
        ({"kind": "wsgi", "app": "m:a"}, ("wsgi", "m:a", "/py", ("a",), "notify")),
        ({"kind": "node"}, ("node", ("/py", "a"), None, (), "notify")),
        ({"kind": "command"}, ("program", ("/py", "a"), None, (), "notify-or-settled")),
        ({"kind": "command", "readiness": ReadinessSpec(notify=True)}, ("program", ("/py", "a"), None, (), "notify")),
        ({"kind": "command", "balance": "port"}, ("program", ("/py", "a"), None, (), "port")),
    ],
)
def test_each_kind(fields, said):
    found = settings_of(spec(**fields), {})
    assert (found.kind, found.app, found.interpreter, found.args, found.handshake) == said


def test_a_node_worker_outlives_its_manager():
    assert settings_of(spec(kind="node"), {}).options == {"orphan": "serve"}


def test_options_are_the_servers():
    assert settings_of(spec(kind="app", app="m:a", options={"ssl_keyfile": "k"}), {}).options == {"ssl_keyfile": "k"}


def test_a_stop_is_a_drain_and_then_the_stop_of_every_app():
    plan = stop_plan(spec(kind="app", app="m:a", drain_timeout=20.0, graceful_timeout=5.0))
    assert (plan.graceful_timeout, plan.scope) == (25.0, "leader")


def test_a_worker_is_missed_at_once_unless_its_file_says_otherwise():
    assert (restart_policy(spec()).backoff.cap, restart_policy(spec(bind=())).backoff.cap) == (2.0, 30.0)
    assert restart_policy(spec(backoff=BackoffSpec(cap=9.0))).backoff.cap == 9.0


def test_settings_are_made_once():
    edition = Edition(spec(), {})
    assert edition.settings is edition.settings
    edition.spec = spec(linger=9.0)
    assert edition.settings.linger == 9.0
