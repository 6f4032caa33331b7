"""The routes, over a service on paper and without any network."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import NamedTuple

import pytest

from rookery import errors
from rookery.control.messages import (
    ActionResult,
    AppSource,
    Event,
    Flushed,
    InstanceDetail,
    InstanceEnv,
    InstanceRow,
    Outcome,
    Ping,
    Signalled,
)
from rookery.web.application import application
from rookery.web.bodies import MOST_BODY

ROW = InstanceRow(
    id=0, name="web", namespace="n", index=0, pid=5, state="running", ready=True, restarts=0, uptime=1.0, cpu=None,
    memory=None, exit=None, since=1.0,
)  # fmt: skip
DETAIL = InstanceDetail(
    row=ROW, app={}, desired="running", generation=1, next_restart=None, tree=[], log_out="/o", log_err="/e", status=""
)
RESULT = ActionResult(outcomes=[Outcome(name="web", index=0, id=0, ok=True, did="started", state="running")])


class PaperService:
    """See Service. asked: what came; error: what to raise."""

    def __init__(self):
        self.asked, self.error, self.said = [], None, ""

    def warning(self):
        return self.said

    def send(self, selectors, data):
        return self._answer([ROW], "send", selectors, data)

    async def upgrade(self, request):
        return self._answer(None, "upgrade", request.python, request.root)

    def _answer(self, answer, *asked):
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return answer

    def ping(self):
        return self._answer(
            Ping(pid=1, uptime=2.0, epoch=3, apps=4, home="/h", keeper_pid=5, collector_pid=None), "ping"
        )

    def rows(self, selectors):
        return self._answer([ROW], "rows", selectors)

    def details(self, selectors):
        return self._answer([DETAIL], "details", selectors)

    def sources(self, selectors):
        return self._answer([AppSource(id=0, name="web", index=0, out="/o", err="/e")], "sources", selectors)

    async def apply(self, request):
        return self._answer(RESULT, "apply", [bytes(spec) for spec in request.specs], request.base_env, request.wait)

    async def act(self, verb, request):
        return self._answer(RESULT, verb, request.selectors, request.wait, request.timeout)

    async def shut_down(self):
        return self._answer(RESULT, "kill")

    async def scale(self, request):
        return self._answer(RESULT, "scale", request.name, request.instances)

    async def wait(self, selectors, until, timeout):  # noqa: ASYNC109
        return self._answer(RESULT, "wait", selectors, until, timeout)

    def reset(self, selectors):
        return self._answer([ROW], "reset", selectors)

    def signal(self, request):
        sent = Signalled(id=0, name="web", index=0, pid=5, signal="SIGHUP", processes=1)
        return self._answer([sent], "signal", request.selectors, request.signal, request.tree)

    def environments(self, selectors, *, reveal):
        return self._answer(
            [InstanceEnv(id=0, name="web", index=0, next={"A": "1"}, running=None)], "env", selectors, reveal
        )

    async def flush(self, selectors):
        return self._answer(Flushed(emptied=2), "flush", selectors)

    def events(self, query):
        return self._answer([Event(seq=1, epoch=3, time=1.0, type="start")], "events", tuple(query))


class Answer(NamedTuple):
    status: int
    kind: str
    body: object
    headers: dict


def call(service, method, path, body=b"", *, chunk=65536, headers=(), client=None):
    """One request through the ASGI interface, as a server would make it."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": list(headers), "client": client, "server": None,
    }  # fmt: skip
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]
    sent = []

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message):
        sent.append(message)

    async def run():
        with contextlib.suppress(ZeroDivisionError):  # a defect is answered, and then told to the server
            await application(service)(scope, receive, send)

    asyncio.run(run())
    headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    value = json.loads(content) if content else None
    return Answer(sent[0]["status"], headers.get("content-type", ""), value, headers)


@pytest.fixture
def service():
    return PaperService()


def post(service, path, body):
    return call(service, "POST", path, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/ping", ("ping",)),
        ("/v1/instances", ("rows", [])),
        ("/v1/instances?select=web&select=%2Fa.*%2F", ("rows", ["web", "/a.*/"])),
        ("/v1/details?select=web%3A1", ("details", ["web:1"])),
        ("/v1/logs?select=", ("sources", [""])),
        ("/status", ("rows", [])),
        ("/status/web", ("rows", ["web"])),
        ("/v1/env?select=web", ("env", ["web"], False)),
        ("/v1/env?show_secrets=1", ("env", [], True)),
        ("/v1/env?show_secrets=true", ("env", [], True)),
        ("/v1/wait?select=web", ("wait", ["web"], "settled", 30.0)),
        ("/v1/wait?select=web&select=3&for=exited&timeout=0.5", ("wait", ["web", "3"], "exited", 0.5)),
        ("/v1/events?select=web&type=exit&type=start", ("events", (("web",), ("exit", "start"), None))),
        ("/v1/events?since=2.17", ("events", ((), (), (2, 17)))),
        ("/v1/events?since=17", ("events", ((), (), (3, 17)))),
    ],
)
def test_looking(service, path, asked):
    answer = call(service, "GET", path)
    assert (answer.status, answer.kind) == (200, "application/json")
    assert [one for one in service.asked if one != ("ping",)] == [asked] or service.asked == [asked]
    assert answer.body


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/wait", "wait for what"),
        ("/v1/wait?select=web&for=ever", "'ever'"),
        ("/v1/wait?select=web&timeout=61", "0 to 60"),
        ("/v1/wait?select=web&timeout=-1", "0 to 60"),
        ("/v1/wait?select=web&timeout=nan", "0 to 60"),
        ("/v1/wait?select=web&timeout=soon", "'soon'"),
        ("/v1/env?show_secrets=maybe", "'maybe'"),
        ("/v1/events?since=x", "'x'"),
        ("/v1/events?since=1.2.3", "no place"),
        ("/v1/events?follow=yes", "'yes'"),
    ],
)
def test_a_query_that_makes_no_sense(service, path, said):
    answer = call(service, "GET", path)
    assert (answer.status, answer.kind, answer.body["exit_code"]) == (422, "application/problem+json", 2)
    assert said in answer.body["title"] + answer.body["hint"]
    assert [one for one in service.asked if one != ("ping",)] == []


def test_the_place_may_stand_in_the_header(service):
    call(service, "GET", "/v1/events?since=1.1", headers=[(b"last-event-id", b"2.9")])
    assert service.asked[-1] == ("events", ((), (), (2, 9)))


def test_secrets_are_not_for_the_network(service):
    answer = call(service, "GET", "/v1/env?show_secrets=1", client=("127.0.0.1", 4711))
    assert (answer.status, answer.kind) == (403, "application/problem+json")
    assert service.asked == []
    assert call(service, "GET", "/v1/env", client=("127.0.0.1", 4711)).status == 200


def test_health(service):
    assert call(service, "GET", "/healthz").body == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("/v1/scale", {"name": "web", "instances": "+1"}, ("scale", "web", "+1")),
        ("/v1/scale", {"name": "web", "instances": 3}, ("scale", "web", 3)),
        ("/v1/reset", {"selectors": ["web"]}, ("reset", ["web"])),
        ("/v1/signal", {"selectors": ["web"], "signal": "HUP", "tree": True}, ("signal", ["web"], "HUP", True)),
        ("/v1/flush", {}, ("flush", [])),
        ("/v1/flush", {"selectors": ["web"]}, ("flush", ["web"])),
    ],
)
def test_other_requests(service, path, body, asked):
    assert post(service, path, body).status == 200
    assert service.asked == [asked]


def test_the_simple_restart(service):
    answer = post(service, "/restart", {"name": "web"})
    assert (answer.status, answer.body) == (200, {"name": "web", "pid": None, "pids": []})
    assert service.asked == [("rows", ["web"]), ("restart", ["web"], "settled", 30.0)]


def test_the_words_are_those_of_the_messages(service):
    assert call(service, "GET", "/v1/instances").body[0]["name"] == "web"
    assert call(service, "GET", "/v1/details").body[0]["row"]["pid"] == 5
    assert call(service, "GET", "/v1/logs").body[0]["out"] == "/o"
    assert call(service, "GET", "/v1/ping").body["api"] == 1


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "delete"])
def test_acting(service, verb):
    answer = post(service, f"/v1/{verb}", {"selectors": ["web"], "wait": "ready", "timeout": 5})
    assert (answer.status, answer.body["outcomes"][0]["did"], answer.body["expired"]) == (200, "started", False)
    assert service.asked == [(verb, ["web"], "ready", 5.0)]


def test_apply(service):
    post(service, "/v1/apply", {"specs": [{"name": "web"}], "base_env": {"A": "b"}})
    assert service.asked == [("apply", [b'{"name": "web"}'], {"A": "b"}, "settled")]


def test_kill(service):
    assert call(service, "POST", "/v1/kill").status == 200
    assert service.asked == [("kill",)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"selectors": ["\xff"]}',
        b'{"selectors": "web"}',
        b'{"selectors": [1]}',
        b'{"selectors": [], "surprise": 1}',
        b'{"selectors": [], "wait": "long"}',
        b'{"selectors": [], "timeout": "1"}',
        b'{"selectors": []} {}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_makes_no_sense(service, body):
    answer = call(service, "POST", "/v1/stop", body)
    assert (answer.status, answer.kind) == (422, "application/problem+json")
    assert answer.body["exit_code"] == 2
    assert answer.body["title"] == "the request's body is not well-formed"
    assert service.asked == []


def test_a_description_that_is_nested_without_end(service):
    answer = call(service, "POST", "/v1/apply", b'{"base_env": {}, "specs": [' + b"[" * 200_000)
    assert answer.status == 422


def test_a_body_that_is_too_large(service):
    fitting = json.dumps({"selectors": ["x" * (MOST_BODY - 40)]}).encode()
    assert call(service, "POST", "/v1/stop", fitting).status == 200
    answer = call(service, "POST", "/v1/stop", fitting + b" " * 100)
    assert (answer.status, answer.kind, answer.body["exit_code"]) == (413, "application/problem+json", 2)
    assert len(service.asked) == 1


def test_a_body_that_says_that_it_will_be_too_large_is_not_read(service):
    headers = [(b"content-length", str(MOST_BODY + 1).encode())]
    answer = call(service, "POST", "/v1/stop", b'{"selectors": ["web"]}', headers=headers)
    assert (answer.status, service.asked) == (413, [])


@pytest.mark.parametrize(("kind", "hint"), [("exti", "did you mean exit?"), ("zzz", "state, start, adopted")])
def test_events_of_a_type_that_there_is_not(service, kind, hint):
    answer = call(service, "GET", f"/v1/events?type=exit&type={kind}")
    assert (answer.status, answer.body["title"]) == (422, f"no event is of the type {kind!r}")
    assert answer.body["hint"].startswith(hint)
    assert "events" not in [asked[0] for asked in service.asked]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/ping/", 404),
        ("GET", "/v1/stop", 405),
        ("POST", "/v1/ping", 405),
        ("GET", "/v1/../v1/nothing", 404),
    ],
)
def test_unknown_paths_and_methods(service, method, path, status):
    answer = call(service, method, path)
    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert answer.body["exit_code"] == 2
    assert service.asked == []
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NothingMatched("no app matches 'x'", hint="look"), 404, 3),
        (errors.UsageError("stop what?", hint="look"), 422, 2),
        (errors.ConfigError("no", hint="look"), 422, 2),
        (errors.OperationFailed("on its way out", hint="look"), 409, 1),
        (errors.WaitExpired("too long", hint="look"), 504, 5),
        (errors.StopFailed([7], 5.0), 409, 1),
        (errors.LinkError("gone", hint="look"), 409, 1),
    ],
)
@pytest.mark.parametrize("path", ["/v1/instances", "/v1/stop"])
def test_errors_are_problems(service, error, status, code, path):
    service.error = error
    method, body = ("POST", b'{"selectors": ["x"]}') if path == "/v1/stop" else ("GET", b"")
    answer = call(service, method, path, body)
    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert (answer.body["title"], answer.body["exit_code"]) == (error.what, code)
    assert "look" in answer.body["hint"]


def test_a_request_that_the_leaving_server_cuts_off_is_told(service):
    service.error = asyncio.CancelledError()
    answer = post(service, "/v1/stop", {"selectors": ["x"]})
    assert (answer.status, answer.body["exit_code"]) == (409, 1)
    assert "all, some or nothing" in answer.body["detail"]


def test_a_defect_tells_no_traceback(service, caplog):
    service.error = ZeroDivisionError("division by zero")
    answer = call(service, "GET", "/v1/instances")
    assert (answer.status, answer.kind, answer.body["exit_code"]) == (500, "application/problem+json", 1)
    assert "Traceback" not in json.dumps(answer.body)
    assert "application.py" not in json.dumps(answer.body)
    assert "manager.log" in answer.body["hint"]
    assert "ZeroDivisionError" in caplog.text  # it is in the log, with all there is to know
