"""Apps that share a port, as the commands show them; and rook reload."""

from __future__ import annotations

import json

import msgspec
import pytest
from fake_manager import ended, outcome, problem, row

from rookery._base.units import format_duration
from rookery.apps.translate import restart_policy as restart_policy_of
from rookery.cli import cluster_words
from rookery.cli.commands import diff
from rookery.cli.details import block
from rookery.cli.policy_words import restart_policy, stop_plan
from rookery.config.compare import Change, Difference
from rookery.config.spec import AppSpec, BackoffSpec
from rookery.control.messages import ActRequest, StartRequest

WORKER = {
    "bind": "127.0.0.1:8000",
    "requests": 1200,
    "errors": 3,
    "in_flight": 2,
    "requests_per_second": 40.25,
    "latency": {"p50": 0.00123, "p90": 0.0254, "p99": 1.5},
    "connections": 7,
    "heartbeat": 0.25,
}
RELOADED = {"outcomes": [outcome(did="reloaded"), outcome(index=1, did="reloaded", pid=1235)], "expired": False}
GIVEN_UP = {
    "outcomes": [
        outcome(
            ok=False,
            did="failed",
            pid=99,
            reason="the new code ended before it was ready: exited with code 1",
            exit=ended(stderr=["RuntimeError: no such table: orders"]),
            log="/home/logs/web-0.err.log",
            hint="the old instances serve on",
        ),
        outcome(index=1, did="kept", pid=100),
    ],
    "expired": False,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "rook.toml").write_text(
        '[apps.web]\napp = "shop:app"\ninstances = 2\nenv_profiles.prod = { MODE = "x" }\n'
        '[apps.worker]\ncommand = ["sleep", "9"]\n'
    )
    return place


def test_the_list_has_a_column_where_somebody_listens(rook, manager, monkeypatch):
    manager.answers["GET", "/v1/instances"] = 200, [row(1, **WORKER), row(2, name="worker")]
    assert rook("list").out.splitlines() == [
        "id  name    ns       #  pid  state    ↺  uptime   cpu    mem  bind",
        " 1  web     default  0  101  running  0    1m5s  1.2%  50.0M  127.0.0.1:8000",
        " 2  worker  default  0  102  running  0    1m5s  1.2%  50.0M  -",
    ]
    monkeypatch.setenv("COLUMNS", "70")
    assert rook("list").err == "1 column hidden (bind); the terminal is narrow, --json shows all\n"


def detail(**changed):
    app = {"command": ["/usr/bin/python"], "app": "shop:app", "kind": "wsgi", "bind": ["127.0.0.1:0"], "env": {}}
    return {
        "row": row(1, **WORKER),
        "app": {**app, "balance": "hash", "drain_timeout": 30.0, "graceful_timeout": 10.0},
        "desired": "running",
        "generation": 1,
        "next_restart": None,
        "tree": [],
        "status": "",
        "log_out": "/l/log",
        "log_err": "/l/log",
        "beside": [],
        **changed,
    }


def test_what_one_worker_does():
    lines = block(detail(), {})
    at = lines.index("  app       shop:app (wsgi)")
    assert lines[at + 1 : at + 5] == [
        "  bind      127.0.0.1:8000, balance hash",
        "  requests  1200, 3 errors, 2 in flight, 40.2/s, 7 connections",
        "  latency   p50 1.23ms, p90 25.4ms, p99 1.5s",
        "  alive     250ms ago",
    ]
    assert "  stop      SIGTERM: answers what it has for 30s at most; SIGKILL after 40s" in lines


def test_what_is_beside_it():
    beside = [{"pid": 7, "role": "draining", "uptime": 3.0}, {"pid": None, "role": "rising", "uptime": None}]
    assert list(cluster_words.facts(detail(beside=beside)))[-2:] == [
        ("beside", "pid 7: the one before, answering what it has, 3s old"),
        ("beside", "pid -: the next one, starting"),
    ]


def test_one_that_is_down_and_one_of_whom_nothing_is_counted():
    blank = dict.fromkeys(WORKER)
    app = {"command": ["/bin/x"], "bind": [":1", "unix:/x"], "balance": "shared", "kind": "command", "app": ""}
    assert list(cluster_words.facts(detail(row=row(1, **blank), app=app))) == [("bind", ":1, unix:/x, balance shared")]
    assert list(cluster_words.facts(detail(row=row(1), app={}))) == []
    assert stop_plan({"bind": [":1"], "drain_timeout": 60.0, "graceful_timeout": 5.0, "stop_signal": "SIGQUIT"}) == (
        "SIGQUIT: answers what it has for 1m at most; SIGKILL after 1m5s"
    )


@pytest.mark.parametrize("changed", [{}, {"stable_after": 5.0}, {"backoff": BackoffSpec(cap=9.0)}, {"bind": ()}])
def test_how_long_it_waits_is_told_as_it_is_done(changed):
    spec = AppSpec(**{"name": "w", "command": ("/x",), "cwd": "/", "bind": (":1",), **changed})
    cap = format_duration(restart_policy_of(spec).backoff.cap)
    assert f"waiting 100ms to {cap} in a crash loop" in restart_policy(msgspec.to_builtins(spec))


def test_what_a_spec_is_in_words():
    spec = AppSpec(name="w", command=("/py", "-x"), cwd="/", app="m:a", kind="app", bind=(":1", ":2"), balance="hash")
    assert cluster_words.what_runs(spec) == "m:a by /py -x"
    assert cluster_words.where(spec) == ":1, :2, balance hash"
    assert cluster_words.where(AppSpec(name="w", command=("/x",), cwd="/")) == ""


def test_check_and_diff_tell_of_ports(rook, folder):
    ran = rook("check")
    assert (ran.code, ran.err) == (0, "")
    assert "  web: 2 instances of shop:app by /" in ran.out
    assert "serving 127.0.0.1:8000, balance shared" in ran.out
    assert "+ web: new, 2 instances of shop:app by /" in rook("diff").out


def test_diff_says_how_instances_change():
    one = Difference("web", "changed", (Change("bind", [], [":1"]), Change("app", "m:a", "")), 2, 2)
    spec = AppSpec(name="web", command=("/x",), cwd="/", bind=(":1",))
    assert diff.lines(one, spec) == [
        "~ web: changed, 2 instances replaced, new before old",
        "    bind: none -> :1",
        "    app: m:a -> none",
    ]
    assert diff.lines(one, msgspec.structs.replace(spec, bind=()))[0] == "~ web: changed, 2 instances restarted"


def test_check_masks_what_is_secret(rook, folder):
    (folder / "rook.toml").write_text(
        '[apps.web]\napp = "m:a"\noptions = { ssl_keyfile_password = "geheim", ws = "none" }\n'
    )
    (found,) = json.loads(rook("check", "--json").out)
    assert found["apps"][0]["options"] == {"ssl_keyfile_password": "***", "ws": "none"}


def test_start_says_where_it_listens(rook, manager, folder):
    manager.answers["POST", "/v1/apply"] = 200, {"outcomes": [outcome()], "expired": False}
    down = row(3, name="down", state="fatal", **WORKER)
    manager.answers["GET", "/v1/instances"] = 200, [row(1, **WORKER), row(2, **WORKER), down]
    ran = rook("start", "shop:app", "--bind", ":0", "--bind", "unix:s", "--option", "ws=none", "-i", "9999")
    assert ran.out == "web:0  started  pid 1234\n"
    warning, said = ran.err.splitlines()
    assert warning.startswith("warning: 9999 instances of shop share ")
    assert said == "web listens at 127.0.0.1:8000"
    (spec,) = manager.asked[0].body["specs"]
    assert (spec["bind"], spec["options"]) == ([":0", f"unix:{folder}/s"], {"ws": "none"})
    assert manager.asked[1].selectors == ["/^shop$/"]
    assert rook("start", "shop:app", "-n", "web", "--json").err == ""


@pytest.mark.parametrize(
    ("argv", "selectors"), [(["web"], ["web"]), (["web:1", "3", "--wait", "none"], ["web:1", "3"]), (["all"], ["all"])]
)
def test_reload_by_name(rook, manager, argv, selectors):
    manager.answers["POST", "/v1/reload"] = 200, RELOADED
    assert rook("reload", *argv) == (0, "web:0  reloaded  pid 1234\nweb:1  reloaded  pid 1235\n", "")
    request = msgspec.convert(manager.asked[0].body, ActRequest)
    assert (request.selectors, request.timeout, request.base_env) == (selectors, 300.0, None)


def test_reload_with_the_environment_of_now(rook, manager, monkeypatch):
    monkeypatch.setenv("MINE", "x")
    manager.answers["POST", "/v1/reload"] = 200, RELOADED
    rook("reload", "web", "--update-env")
    assert "PATH" in manager.asked[0].body["base_env"]
    assert "MINE" not in manager.asked[0].body["base_env"]
    rook("reload", "web", "--update-env", "--inherit-env")
    assert manager.asked[1].body["base_env"]["MINE"] == "x"


def test_a_reload_that_is_given_up(rook, manager):
    manager.answers["POST", "/v1/reload"] = 200, GIVEN_UP
    ran = rook("reload", "web")
    assert ran.out.splitlines() == [
        "web:0  failed: the new code ended before it was ready: exited with code 1",
        "    RuntimeError: no such table: orders",
        "  log: /home/logs/web-0.err.log",
        "web:1  kept  pid 100",
    ]
    assert (ran.code, ran.err) == (1, "hint: the old instances serve on\n")
    assert json.loads(rook("reload", "web", "--json").out) == GIVEN_UP


@pytest.mark.parametrize(
    ("argv", "names", "files", "mode"),
    [
        (["rook.toml"], ["web", "worker"], 1, None),
        (["rook.toml", "--env", "prod"], ["web", "worker"], 1, "x"),
        (["rook.toml", "--only", "web"], ["web"], 0, None),
    ],
)
def test_reload_of_a_file(rook, manager, folder, argv, names, files, mode):
    manager.answers["POST", "/v1/apply"] = 200, RELOADED
    assert rook("reload", *argv).code == 0
    request = msgspec.json.decode(json.dumps(manager.asked[0].body), type=StartRequest)
    specs = [msgspec.json.decode(raw, type=AppSpec) for raw in request.specs]
    assert [spec.name for spec in specs] == names
    assert specs[0].env.get("MODE") == mode
    assert (request.reload, request.timeout, len(request.files), "PATH" in request.base_env) == (
        True,
        300.0,
        files,
        True,
    )


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "rook reload needs to know which apps"),
        (["rook.toml", "web"], "'web' does not go with a config file"),
        (["gone.toml"], "there is no such file"),
        (["web", "--env", "prod"], "--env goes with a config file"),
        (["web", "--only", "web"], "--only goes with a config file"),
        (["web", "--inherit-env"], "--inherit-env goes with --update-env\nhint: rook reload NAME --update-env"),
        (["rook.toml", "--env", "none"], "no environment profile 'none'"),
    ],
)
def test_reloads_that_cannot_be(rook, manager, folder, argv, text):
    ran = rook("reload", *argv)
    assert (ran.code, text in ran.err) == (2, True), ran.err
    assert manager.asked == []


def test_nothing_to_reload(rook, manager):
    manager.answers["POST", "/v1/reload"] = problem(404, "no app matches 'wbe'", exit_code=3)
    assert rook("reload", "wbe").code == 3


def test_no_manager_to_reload_with(rook, home):
    assert rook("reload", "web").code == 3
