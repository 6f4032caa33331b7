"""The one table of routes: the application is built from it, and so is the OpenAPI document."""

from __future__ import annotations

from typing import Literal, NamedTuple

from rookery.control.messages import (
    ActionResult,
    ActRequest,
    AppSource,
    Event,
    Flushed,
    FlushRequest,
    Health,
    InstanceDetail,
    InstanceEnv,
    InstanceRow,
    LogLine,
    Ping,
    Restarted,
    RestartRequest,
    ScaleRequest,
    SelectRequest,
    SendRequest,
    Signalled,
    SignalRequest,
    StartRequest,
    Until,
    UpgradeRequest,
)


class Parameter(NamedTuple):
    """A query parameter (or with where "path" or "header" something else). kind: its type, as for msgspec."""

    name: str
    kind: object
    text: str
    where: Literal["query", "path", "header"] = "query"
    pattern: str = ""


class Endpoint(NamedTuple):
    """One route. name: of its handler; answer: the type of a 200; body: of the request; fails: statuses of problems
    beyond those that every route may answer with; event: where it can be a stream of server-sent events, the type of
    their data; it is nothing else where answer is None.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    answer: object
    body: type | None = None
    parameters: tuple[Parameter, ...] = ()
    fails: tuple[int, ...] = ()
    event: object = None


SELECT = Parameter("select", list[str], "A selector; may be repeated. All instances where there is none.")
_PLACE = r"^(\d{1,15}\.)?\d{1,15}$"
_PLACE_OR_NONE = r"^((\d{1,15}\.)?\d{1,15})?$"
_FOUND = (404, 422)
_DONE = (404, 409, 413, 422)

ENDPOINTS = (
    Endpoint("GET", "/healthz", "healthz", "Whether the manager answers.", Health),
    Endpoint("GET", "/status", "status", "All instances.", list[InstanceRow]),
    Endpoint(
        "GET", "/status/{name}", "status_of", "The instances of one app.", list[InstanceRow],
        parameters=(Parameter("name", str, "The app's name, or any other selector.", "path"),), fails=_FOUND,
    ),
    Endpoint(
        "POST", "/restart", "simple_restart", "Stop an app and start it again; its new process ids.", Restarted,
        body=RestartRequest, fails=_DONE,
    ),
    Endpoint("GET", "/v1/openapi.json", "openapi", "This document.", dict[str, object]),
    Endpoint("GET", "/v1/ping", "ping", "The manager's own facts.", Ping),
    Endpoint(
        "GET", "/v1/instances", "instances", "Instances, as rook list shows them.", list[InstanceRow],
        parameters=(SELECT,), fails=_FOUND,
    ),
    Endpoint(
        "GET", "/v1/details", "details", "Everything about instances, as rook show has it.", list[InstanceDetail],
        parameters=(SELECT,), fails=_FOUND,
    ),
    Endpoint(
        "GET", "/v1/logs", "logs", "Where the log files of instances are.", list[AppSource],
        parameters=(SELECT,), fails=_FOUND,
    ),
    Endpoint(
        "GET", "/v1/logs/stream", "logs_stream", "Lines of logs as server-sent events; each has an id to go on after.",
        None,
        parameters=(
            SELECT,
            Parameter("lines", str, "Last lines of each file, or all; default 15.", pattern=r"^(\d+|all)?$"),
            Parameter("since", str, "From then on: 10m (ago), 09:30, a date, today, @SECONDS."),
            Parameter("until", str, "Up to then."),
            *(
                Parameter(name, Literal["0", "1", "false", "true"], text)
                for name, text in (
                    ("follow", "Go on with what comes."),
                    ("out", "What was written to stdout."),
                    ("err", "What was written to stderr."),
                    ("combined", "Of apps with a combined log that one."),
                    ("whole", "Leave out an unfinished line at the end."),
                    ("raw", "Lines of files that are JSON as they are."),
                )
            ),
            Parameter("Last-Event-ID", str, "Go on after this event; what a client sends that comes back.", "header"),
        ),
        fails=_FOUND, event=LogLine,
    ),
    Endpoint(
        "GET", "/v1/env", "env", "The environment of instances, secrets masked.", list[InstanceEnv],
        parameters=(
            SELECT,
            Parameter("show_secrets", Literal["0", "1", "false", "true"], "Show secrets; on the Unix socket only."),
        ),
        fails=(403, 404, 409, 422),
    ),
    Endpoint(
        "GET", "/v1/wait", "wait", "Wait for instances to be as wanted, without doing anything.", ActionResult,
        parameters=(
            SELECT._replace(text="A selector, at least one; may be repeated."),
            Parameter("for", Until, "What to wait for; default settled."),
            Parameter("timeout", float, "Seconds, 60 at most, default 30; ask again to wait longer."),
        ),
        fails=_FOUND,
    ),
    Endpoint(
        "GET", "/v1/events", "events",
        "What has happened, the last 1,000 events; with Accept: text/event-stream or follow=1 also what comes.",
        list[Event],
        parameters=(
            SELECT,
            Parameter("type", list[str], "Only events of this type; may be repeated."),
            Parameter("since", str, "Only events after this one: epoch.seq, or seq alone.", pattern=_PLACE),
            Parameter("follow", Literal["0", "1", "false", "true"], "Go on with what comes, as server-sent events."),
            Parameter("Last-Event-ID", str, "As since; what a client sends that comes back.", "header", _PLACE_OR_NONE),
        ),
        fails=_FOUND, event=Event,
    ),
    Endpoint(
        "POST", "/v1/apply", "apply", "Make apps run as described.", ActionResult, body=StartRequest, fails=_DONE
    ),
    *(
        Endpoint("POST", f"/v1/{verb}", verb, summary, ActionResult, body=ActRequest, fails=_DONE)
        for verb, summary in (
            ("start", "Start known apps."),
            ("stop", "Stop apps; they stay known."),
            ("restart", "Stop apps and start them again."),
            ("reload", "Replace the instances of apps: new before old, or one after the other."),
            ("delete", "Stop apps and forget them."),
        )
    ),
    Endpoint(
        "POST", "/v1/scale", "scale", "Give an app more or fewer instances.", ActionResult, body=ScaleRequest,
        fails=_DONE,
    ),
    Endpoint(
        "POST", "/v1/reset", "reset", "Set the counters of restarts to zero.", list[InstanceRow], body=SelectRequest,
        fails=_DONE,
    ),
    Endpoint("POST", "/v1/signal", "signal", "Signal instances.", list[Signalled], body=SignalRequest, fails=_DONE),
    Endpoint("POST", "/v1/flush", "flush", "Empty log files.", Flushed, body=FlushRequest, fails=_DONE),
    Endpoint(
        "POST", "/v1/send", "send", "Write to the stdin of apps.", list[InstanceRow], body=SendRequest, fails=_DONE
    ),
    Endpoint(
        "POST", "/v1/upgrade", "upgrade", "Put another version in charge.", dict[str, object], body=UpgradeRequest,
        fails=(409, 413, 422),
    ),
    Endpoint("POST", "/v1/kill", "kill", "Stop all apps and the manager.", ActionResult, fails=(409,)),
)  # fmt: skip
