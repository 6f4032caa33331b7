"""What can be asked of the keeper, and what cannot harm it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from rookery._base.framing import frame
from rookery._os import kernel
from rookery.process.spec import SpawnSpec, to_json

WAITS = SpawnSpec(("/bin/sleep", "1000"), env={}, cwd="/")
ENDS = SpawnSpec(("/bin/sh", "-c", "exit 3"), env={}, cwd="/")


def spawn(client, spec=WAITS, key="4", generation=1):
    return client.ask("spawn", key=key, generation=generation, spec=to_json(spec))


def test_hello(keeper, connect):
    answer = connect().ask("hello")
    assert (answer["id"], answer["ok"], answer["version"], answer["pid"]) == (7, True, 1, os.getpid())
    assert answer["scope"] == "0badcafe"
    assert {"lease", "spawn", "put", "get", "drop", "exits", "ack"} <= set(answer["features"])


def test_epochs_grow_and_an_older_one_is_refused(keeper, connect):
    old, new = connect(), connect()
    assert old.ask("lease", after=5)["epoch"] == 6
    assert spawn(old)["ok"]
    assert new.ask("lease", after=2)["epoch"] == 7
    assert old.receive() == {"event": "lease_lost", "epoch": 7}
    answer = spawn(old, key="5")
    assert (answer["ok"], answer["error"]["type"]) == (False, "StaleLease")
    assert old.ask("list")["ok"]  # looking is for everybody
    assert len(new.ask("list")["children"]) == 1


@pytest.mark.parametrize("verb", ["spawn", "signal", "put", "get", "drop", "ack", "start_collector", "stop"])
def test_without_a_lease_nothing_is_changed(connect, verb):
    answer = connect().ask(verb)
    assert (answer["ok"], answer["error"]["type"]) == (False, "StaleLease")


def test_the_end_of_a_leaseholder_is_no_end_of_the_lease(keeper, connect):
    first = connect()
    first.ask("lease", after=0)
    first.sock.close()
    keeper.turn()
    assert connect().ask("lease", after=0)["epoch"] == 2


def test_who_is_asked_to_end_tells_every_leaseholder(keeper, connect):
    keeper.ask_to_end()
    client = connect()
    assert client.ask("lease", after=0) == {"event": "terminate"}
    assert client.receive()["epoch"] == 1


def test_a_spawn_is_done_once(client):
    first, again = spawn(client)["child"], spawn(client)["child"]
    assert first == again
    assert (first["key"], first["generation"], first["returncode"]) == ("4", 1, None)
    assert kernel.is_alive(first["pid"], first["start_time"])
    other = spawn(client, generation=2)["child"]
    assert other["pid"] != first["pid"]


def test_an_end_is_kept_until_it_is_acknowledged(keeper, client):
    spawn(client, ENDS)
    keeper.reap("4")
    (child,) = client.ask("exits")["children"]
    assert (child["returncode"], child["ended_at"] is not None) == (3, True)
    assert spawn(client, ENDS)["child"] == child  # asked again it is not started again either
    client.ask("ack", key="4", generation=1)
    assert client.ask("exits")["children"] == []
    assert client.ask("list")["children"] == []


def test_what_runs_is_not_forgotten(client):
    spawn(client)
    client.ask("ack", key="4", generation=1)
    assert len(client.ask("list")["children"]) == 1


def test_signals(keeper, client):
    spawn(client)
    assert client.ask("signal", key="4", generation=1, number=int(signal.SIGTERM))["sent"]
    assert keeper.reap("4").returncode == -signal.SIGTERM
    assert not client.ask("signal", key="4", generation=1, number=9)["sent"]
    assert not client.ask("signal", key="nobody", generation=1, number=9)["sent"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"argv": ["/no/such/program"]}, "CommandNotFound"),
        ({"argv": ["/etc/passwd"]}, "CommandNotExecutable"),
        ({"cwd": "/no/such/folder"}, "DirectoryMissing"),
        ({"argv": []}, "SpawnError"),
        ({"argv": ["a\0b"]}, "SpawnError"),
        ({"argv": 7}, "SpawnError"),
        ({"uid": 2**70}, "SpawnError"),
        ({"umask": "x"}, "SpawnError"),
        ({"env": ["x"]}, "SpawnError"),
        ({"fds": {"1": "not/kept"}}, "SpawnError"),
        ({"fds": {"x": "y"}}, "SpawnError"),
        ({"rlimits": {"what": 1}}, "SpawnError"),
    ],
)
def test_what_cannot_be_started_is_told_and_leaves_nothing(keeper, client, change, kind):
    answer = client.ask("spawn", key="4", generation=1, spec={**to_json(WAITS), **change})
    assert answer["ok"] is False
    assert answer["error"]["type"] == kind, answer
    assert keeper.children.all() == []
    assert client.ask("list")["ok"]


def test_put_get_drop(keeper, client, pipe):
    assert client.ask("put", pipe, names=["log/4/1/out", "log/4/1/err"])["ok"]
    assert client.ask("list")["stored"] == ["life", "lock", "log/4/1/err", "log/4/1/out"]
    answer = client.ask("get", names=["log/4/1/err", "nothing", "log/4/1/out"])
    assert (answer["names"], answer["fds"]) == (["log/4/1/err", "log/4/1/out"], 2)
    write, read = client.take_fds()
    os.write(write, b"x")
    assert os.read(pipe[0], 1) == b"x"
    os.close(read)
    os.close(write)
    client.ask("drop", names=["log/4/1/out", "log/4/1/out", "nothing", "lock", "life"])
    assert client.ask("list")["stored"] == ["life", "lock", "log/4/1/err"]


def test_a_second_put_takes_the_place_of_the_first(keeper, client, pipe):
    client.ask("put", pipe[:1], names=["x"])
    client.ask("put", pipe[1:], names=["x"])
    assert os.path.sameopenfile(keeper.store["x"], pipe[1])


@pytest.mark.parametrize("name", ["lock", "life"])
def test_the_keepers_own_names_are_refused(keeper, client, pipe, name):
    before = keeper.store[name]
    answer = client.ask("put", pipe[:1], names=[name])
    assert (answer["ok"], answer["error"]["type"]) == (False, "LinkError")
    assert keeper.store[name] == before


def test_the_keepers_own_children_are_refused(client):
    assert spawn(client, key="@manager")["ok"] is False


def test_names_and_descriptors_must_be_as_many(client, pipe):
    answer = client.ask("put", pipe, names=["one"])
    assert (answer["ok"], answer["error"]["type"]) == (False, "FrameError")
    assert client.ask("hello")["ok"]


def test_a_kept_descriptor_goes_to_a_child(keeper, client, pipe):
    client.ask("put", pipe[1:], names=["out"])
    spawn(client, SpawnSpec(("/bin/sh", "-c", "echo hello"), env={}, cwd="/", fds={1: "out"}))
    assert os.read(pipe[0], 100) == b"hello\n"
    keeper.reap("4")


def test_it_does_not_leave_while_an_app_runs(keeper, client):
    spawn(client)
    answer = client.ask("stop")
    assert (answer["ok"], answer["error"]["type"]) == (False, "StopFailed")
    assert not keeper.is_leaving
    client.ask("signal", key="4", generation=1, number=9)
    keeper.reap("4")
    assert client.ask("stop")["ok"]
    assert keeper.is_leaving


def test_an_unknown_verb_is_told_with_the_version(client):
    answer = client.ask("frobnicate")
    assert "knows no verb 'frobnicate'" in answer["error"]["what"]
    assert "version is 1" in answer["error"]["why"]


@pytest.mark.parametrize(
    "request_",
    [
        {"verb": "spawn"},
        {"verb": "spawn", "key": "4", "generation": "x", "spec": {}},
        {"verb": "spawn", "key": "4", "generation": None, "spec": {}},
        {"verb": "get", "names": 7},
        {"verb": "drop"},
        {"verb": "put", "names": None},
        {"verb": "signal", "key": [], "generation": 1e400},
        {"verb": "lease", "after": {}},
        {"verb": ["list"]},
        {"verb": None},
        {},
        {"verb": "start_collector", "spec": []},
    ],
)
def test_a_request_that_makes_no_sense_is_answered(client, request_):
    client.send(frame(json.dumps({"id": 1, **request_}).encode()))
    assert client.receive()["ok"] is False
    assert client.ask("hello")["ok"]


@pytest.mark.parametrize(
    "raw",
    [
        frame(b"{"),
        frame(b"[]"),
        frame(b'"x"'),
        frame(b"\xff"),
        frame(b"[" * 200_000),
        b"\xff\xff\xff\xff",
        frame(b'{"verb": "hello", "fds": 1}'),
        frame(b'{"verb": "hello", "fds": -1}'),
        frame(b'{"verb": "hello", "fds": "x"}'),
        frame(b'{"verb": "hello", "fds": null}'),
        frame(b'{"verb": "hello", "fds": 1e999}'),
    ],
    ids=["half", "array", "text", "utf8", "deep", "huge", "fds", "fds-1", "fds-x", "fds-null", "fds-inf"],
)
def test_who_sends_nonsense_is_sent_away_and_nobody_else(keeper, client, connect, raw):
    other = connect()
    other.send(raw)
    assert other.receive() is None
    assert "a connection is closed" in keeper.said[0]
    assert client.ask("hello")["ok"]


def test_half_a_frame_and_an_end(keeper, client, connect, pipe):
    other = connect()
    other.send(frame(b'{"verb": "put", "fds": 2}')[:9], pipe)
    other.sock.close()
    keeper.turn()
    assert client.ask("hello")["ok"]


def test_a_frame_in_pieces(client):
    for byte in frame(b'{"id": 9, "verb": "hello"}'):
        client.send(bytes([byte]))
    assert client.receive()["id"] == 9


def test_who_does_not_read_is_sent_away(keeper, client, connect, monkeypatch):
    from rookery.daemon.keeper import wire

    monkeypatch.setattr(wire, "_MOST_WAITING", 100_000)
    other = connect()
    for _ in range(5000):
        if other.connection not in keeper._connections.values():
            break
        other.send(frame(b'{"id": 1, "verb": "hello"}'))
    assert "does not read" in keeper.said[0]
    assert client.ask("hello")["ok"]
