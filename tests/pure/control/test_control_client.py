from __future__ import annotations

import os
import socket

import pytest
from fake_manager import FakeManager, chunked, plain, problem

from rookery.control import client as client_module
from rookery.control import places
from rookery.control.client import Client, with_selectors
from rookery.errors import NoManager, NothingMatched, OperationFailed, UsageError, WaitExpired

BIG = [{"text": "x" * 1000, "number": number} for number in range(300)]


def byte_by_byte(wire):
    return [wire[at : at + 1] for at in range(len(wire))]


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ([plain(200, BIG)], (200, BIG)),
        (byte_by_byte(plain(200, {"a": 1})), (200, {"a": 1})),
        ([chunked(200, BIG, size=4096)], (200, BIG)),
        (byte_by_byte(chunked(200, {"a": "0\r\n\r\n"}, size=3)), (200, {"a": "0\r\n\r\n"})),
        ([b"HTTP/1.1 200 OK\r\n\r\n", b"[1, ", b"2]"], (200, [1, 2])),
        ([b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"], (204, None)),
    ],
    ids=["length", "length in pieces", "chunked", "chunked in pieces", "until the end", "no body"],
)
def test_answers_come_in_all_forms(manager, home, wire, expected):
    manager.raw = [wire]
    assert Client(home).request("GET", "/v1/ping") == expected


def test_a_request_arrives_whole(manager, home):
    manager.answers["POST", "/v1/apply"] = 200, {"outcomes": []}
    body = {"specs": BIG, "base_env": {"LANG": "Grüße"}}
    assert Client(home).request("POST", "/v1/apply", body) == (200, {"outcomes": []})
    assert manager.asked[0].body == body


def test_selectors_are_encoded(manager, home):
    manager.answers["GET", "/v1/instances"] = 200, []
    given = ["web:0", "/a&b=%/", "Käfer + x", "\udcff"]
    Client(home).request("GET", with_selectors("/v1/instances", given))
    assert manager.asked[0].selectors == ["web:0", "/a&b=%/", "Käfer + x", "�"]


@pytest.mark.parametrize(
    ("exit_code", "kind"),
    [(1, OperationFailed), (2, UsageError), (3, NothingMatched), (5, WaitExpired), (None, OperationFailed)],
)
def test_problems_become_errors(manager, home, exit_code, kind):
    manager.answers["GET", "/v1/instances"] = problem(
        400, "no such app", exit_code=exit_code, detail="web", hint="rook list"
    )
    with pytest.raises(kind) as caught:
        Client(home).request("GET", "/v1/instances")
    assert type(caught.value) is kind
    assert (caught.value.what, caught.value.why, caught.value.hint) == ("no such app", "web", "rook list")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\nOops", "status 500: Oops"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nOops", "no JSON"),
        (b"SSH-2.0-x\r\n", "no HTTP answer"),
        (b"HTTP/1.1\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", "no HTTP answer"),
    ],
)
def test_answers_that_are_none(manager, home, wire, text):
    manager.raw = [[wire]]
    with pytest.raises(OperationFailed, match=text):
        Client(home).request("GET", "/v1/ping")


def test_nothing_listens(home):
    with pytest.raises(NoManager, match="no manager runs") as caught:
        Client(home).request("GET", "/v1/ping")
    assert caught.value.exit_code == 4
    assert not Client(home).is_listening()


def test_a_socket_that_was_left_behind(home):
    os.makedirs(os.path.join(home, "run"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(places.control_socket(home))
    assert not Client(home).is_listening()
    with pytest.raises(NoManager):
        Client(home).request("POST", "/v1/stop", {})


@pytest.mark.parametrize("wire", [[], [b"HTTP/1.1 200 X\r\nContent-Le"], [plain(200, BIG)[:5000]]])
def test_reading_is_done_again_after_a_cut(manager, home, wire):
    manager.raw = [wire, wire]
    assert Client(home).request("GET", "/v1/ping")[0] == 200
    assert len(manager.asked) == 3


@pytest.mark.parametrize("wire", [[], [plain(200, BIG)[:5000]]])
def test_a_change_is_never_sent_twice(manager, home, wire):
    manager.raw = [wire]
    with pytest.raises(OperationFailed, match="went away while it worked") as caught:
        Client(home).request("POST", "/v1/restart", {"selectors": ["web"]})
    assert "rook list" in caught.value.hint
    assert len(manager.asked) == 1


def test_reading_gives_up_after_a_while(monkeypatch, manager, home):
    monkeypatch.setattr(client_module, "_PATIENCE", 0.05)
    manager.raw = [[]] * 1000
    with pytest.raises(OperationFailed, match="did not come back"):
        Client(home).request("GET", "/v1/ping")
    assert len(manager.asked) > 1


def test_a_manager_that_does_not_come_back(monkeypatch, home):
    monkeypatch.setattr(client_module, "_PATIENCE", 0.05)
    manager = FakeManager(home)
    manager.raw = [[]] * 1000
    client = Client(home)

    def leave(_pause):
        manager.close()

    monkeypatch.setattr(client_module.time, "sleep", leave)
    with pytest.raises(NoManager):
        client.request("GET", "/v1/ping")


@pytest.fixture
def silent(home):
    """A listener that never answers, with room for one."""
    os.makedirs(os.path.join(home, "run"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(places.control_socket(home))
        listener.listen(0)
        yield listener


def test_a_full_queue_is_waited_for(monkeypatch, home, silent):
    pauses = []
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(places.control_socket(home))

        def make_room(pause):
            pauses.append(pause)
            silent.accept()[0].close()

        monkeypatch.setattr(client_module.time, "sleep", make_room)
        assert Client(home).is_listening()
        with pytest.raises(OperationFailed, match="did not answer within"):
            Client(home).request("GET", "/v1/ping", timeout=0.1)
    assert len(pauses) == 1


def test_an_answer_that_does_not_come_in_time(home, silent):
    with pytest.raises(OperationFailed, match=r"did not answer within 0\.05 s") as caught:
        Client(home).request("GET", "/v1/ping", timeout=0.05)
    assert "manager.log" in caught.value.hint


def test_long_homes_work(tmp_path):
    home = str(tmp_path / ("d" * 100) / ("e" * 100))
    with FakeManager(home):
        assert Client(home).request("GET", "/v1/ping")[0] == 200


def test_a_home_that_may_not_be_entered(tmp_path):
    (tmp_path / "file").write_text("")
    client = Client(str(tmp_path / "file"))
    for ask in (client.is_listening, lambda: client.request("GET", "/v1/ping")):
        with pytest.raises(OperationFailed, match="is no folder"):
            ask()
