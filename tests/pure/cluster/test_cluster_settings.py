"""What may be asked of a cluster, and what is said to the rest."""

from __future__ import annotations

import os

import pytest

from rookery import Cluster
from rookery._base.binds import Bind, parse_bind, parse_binds
from rookery.cluster import settings
from rookery.cluster.target import kind_of
from rookery.errors import UsageError


@pytest.mark.parametrize(
    ("text", "meant", "shown"),
    [
        ("127.0.0.1:8000", Bind("127.0.0.1", 8000), "127.0.0.1:8000"),
        ("[::1]:80", Bind("::1", 80), "[::1]:80"),
        (":8000", Bind("", 8000), ":8000"),
        ("*:8000", Bind("", 8000), ":8000"),
        ("8000", Bind("127.0.0.1", 8000), "127.0.0.1:8000"),
        ("localhost:0", Bind("localhost", 0), "localhost:0"),
        ("unix:/run/web.sock", Bind(path="/run/web.sock"), "unix:/run/web.sock"),
        ("unix:///run/web.sock", Bind(path="/run/web.sock"), "unix:/run/web.sock"),
    ],
)
def test_a_place_to_listen(text, meant, shown):
    assert parse_bind(text) == meant
    assert str(meant) == shown


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:65536", "::1:80", "unix:", "unix:a\0b", "h:²"])
def test_no_place_to_listen(text):
    with pytest.raises(UsageError, match="no place to listen"):
        parse_bind(text)


def test_several_or_none():
    assert parse_binds([":1", ":2"]) == (Bind("", 1), Bind("", 2))
    with pytest.raises(UsageError):
        parse_binds([])


@pytest.mark.parametrize(
    ("app", "kind", "meant"),
    [
        ("shop.web:app", "auto", ("auto", "shop.web:app")),
        ("shop.web:app", "wsgi", ("wsgi", "shop.web:app")),
        ("shop:links.handle", "connection", ("connection", "shop:links.handle")),
        ("server.mjs", "auto", ("node", "server.mjs")),
        (["./server", "--fd", "{fd}"], "auto", ("program", ("./server", "--fd", "{fd}"))),
        ("./server", "program", ("program", ("./server",))),
    ],
)
def test_kinds(app, kind, meant):
    assert kind_of(app, kind) == meant


@pytest.mark.parametrize(
    ("app", "kind", "why"),
    [
        (object(), "auto", "imports its app itself"),
        ("server.py", "auto", "is no app"),
        ("__main__:app", "auto", "__main__"),
        ([], "auto", "empty"),
        (["./server"], "asgi", "a command is a program"),
        ("a:b", "flask", "kind is one of"),
    ],
)
def test_no_kind(app, kind, why):
    with pytest.raises(UsageError, match=why):
        kind_of(app, kind)


@pytest.mark.parametrize(
    ("cpus", "asked", "meant"),
    [
        (8, "max", 8),
        (8, "half", 4),
        (1, "half", 1),
        (8, -1, 7),
        (1, -1, 1),
        (2, 5, 5),
        (2.5, "max", 2),
        (0.5, "max", 1),
    ],
)
def test_how_many_workers(monkeypatch, cpus, asked, meant):
    monkeypatch.setattr(settings.machine, "cpus", lambda: float(cpus))
    assert settings.count(asked) == meant


def test_more_workers_than_cpus_are_told(monkeypatch, caplog):
    monkeypatch.setattr(settings.machine, "cpus", lambda: 2.0)
    settings.count(2)
    assert not caplog.records
    settings.count(3)
    assert "3 workers share 2 CPUs" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": "many"},
        {"balance": "random"},
        {"balance": "hash", "bind": "unix:/x"},
        {"balance": "port", "bind": [":1", ":2"]},
        {"max_surge": 0},
        {"max_requests": 0},
        {"max_requests_jitter": 1.0},
        {"max_memory": "a lot"},
        {"linger": -1},
        {"worker_timeout": 0},
        {"ready": "soon"},
        {"ready": "port"},
        {"ready": "http:/x", "kind": "connection"},
        {"name": "a:b"},
        {"options": {"headers": {1j}}},
    ],
    ids=str,
)
def test_wrong_options(wrong):
    with pytest.raises(UsageError):
        Cluster("web:app", **wrong)


@pytest.mark.parametrize(
    "wrong", [{"balance": "round_robin"}, {"ready": "port"}, {"ready": "http:/x"}, {"balance": "port", "bind": ":0"}]
)
def test_wrong_options_for_a_program(wrong):
    with pytest.raises(UsageError):
        Cluster(["./server"], **wrong)


def test_what_is_meant_is_worked_out_once():
    made = Cluster("web:app", max_memory="300M", ssl={"certfile": "c.pem", "ssl_keyfile": os.fspath("k.pem")}).settings
    assert made.max_memory == 300 << 20
    assert made.ssl == {"ssl_certfile": "c.pem", "ssl_keyfile": "k.pem"}
    assert (made.stop_plan.graceful_timeout, made.stop_plan.scope) == (40.0, "leader")
    assert made.handshake == "notify"
    assert Cluster(["./x"]).settings.handshake == "notify-or-settled"
    assert Cluster(["./x"], balance="port").settings.handshake == "port"
    assert Cluster(["./x"], ready=False).settings.handshake == ""
