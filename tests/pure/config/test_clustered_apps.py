"""Apps that share a port: what their keys become, in a file and on a command line, and which exclude each other."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from rookery.config.compare import Known, compare, masked, shown
from rookery.config.contradictions import CLUSTER_KEYS, check_cluster
from rookery.config.report import BadValue
from rookery.config.server_options import BY_KIND, UVICORN
from rookery.config.spec import AppSpec
from rookery.config.target import resolve_target
from rookery.config.toml import examine, load_file
from rookery.errors import ConfigError, UsageError

APP = "[apps.web]\napp = 'shop.web:app'\n"
RUN = "[apps.web]\ncommand = 'run'\n"


@pytest.fixture
def python(project):
    return project.program("python3")


def load(project, text, **options):
    return load_file(project.file("rook.toml", text), environ=project.environ, **options)


def problem_of(project, text):
    project.program("run")
    project.program("python3")
    with pytest.raises(ConfigError) as caught:
        load(project, text)
    return caught.value


def test_an_app_listens_by_itself(project, python):
    (spec,) = load(project, f"{APP}args = ['--fast']\n")
    assert (spec.app, spec.kind, spec.bind, spec.balance) == ("shop.web:app", "app", ("127.0.0.1:8000",), "shared")
    assert spec.command == (python, "--fast")
    assert spec.env["PYTHONUNBUFFERED"] == "1"


def test_an_app_has_the_python_of_its_virtualenv(project):
    python = project.program("./.venv/bin/python")
    assert load(project, APP)[0].command == (python,)
    other = project.program("./other/bin/python")
    assert load(project, f"{APP}interpreter = 'other/bin/python'")[0].command == (other,)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("'8000'", ["127.0.0.1:8000"]),
        ("':8000'", [":8000"]),
        ("'*:8000'", [":8000"]),
        ("'localhost:0'", ["localhost:0"]),
        ("'[::1]:80'", ["[::1]:80"]),
        ("'unix:/run/web.sock'", ["unix:/run/web.sock"]),
        ("'unix:run/../web.sock'", ["unix:FOLDER/web.sock"]),
        ("'unix:~/web.sock'", ["unix:HOME/web.sock"]),
        ("[':0', ':0', 'unix:x']", [":0", ":0", "unix:FOLDER/x"]),
    ],
)
def test_places(project, written, found):
    project.program("run")
    (spec,) = load(project, f"{RUN}bind = {written}")
    assert spec.kind == "command"
    assert list(spec.bind) == [place.replace("FOLDER", project.folder).replace("HOME", project.home) for place in found]


def test_every_key_arrives(project, python):
    keys = """
bind = "127.0.0.1:0"
balance = "hash"
kind = "wsgi"
drain_timeout = "1m"
linger = 0
max_surge = 2
start_timeout = "5s"
backlog = 7
max_requests = 100
max_requests_jitter = 0
max_lifetime = "1d"
worker_timeout = "never"
request_timeout = 2.5
options = { threads = 4, access_log = true, log_level = "info" }
"""
    (spec,) = load(project, APP + keys)
    assert (spec.balance, spec.kind, spec.drain_timeout, spec.linger, spec.max_surge) == ("hash", "wsgi", 60.0, 0.0, 2)
    assert (spec.start_timeout, spec.backlog, spec.max_requests, spec.max_requests_jitter) == (5.0, 7, 100, 0.0)
    assert (spec.max_lifetime, spec.worker_timeout, spec.request_timeout) == (86400.0, None, 2.5)
    assert spec.options == {"threads": 4, "access_log": True, "log_level": "info"}
    assert {line.partition(" =")[0] for line in keys.split("\n") if line} == CLUSTER_KEYS


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("script = 'server.js'", "node"),
        ("script = 'tool.mjs'", "node"),
        ("command = ['node', 'server.js']", "node"),
        ("command = ['./tool.mjs']", "node"),
        ("command = ['run', 'server.js']", "command"),
        ("script = 'server.js'\ninterpreter = 'run'", "command"),
        ("script = 'server.js'\nkind = 'command'", "command"),
        ("command = ['run', 'server.ts']\nkind = 'node'", "node"),
        ("script = 'web.py'", "command"),
        ("module = 'pkg'", "command"),
        ("app = 'm:f'\nkind = 'connection'", "connection"),
        ("app = 'm:f'\nkind = 'asgi'", "asgi"),
        ("app = 'm:f'", "app"),
    ],
)
def test_the_kind_is_found(project, python, way, kind):
    for name in ("run", "node"):
        project.program(name)
    for name in ("server.js", "web.py"):
        project.file(name)
    project.file("tool.mjs", "#!/usr/bin/env node\n", mode=0o755)
    assert load(project, f"[apps.web]\nbind = ':0'\n{way}")[0].kind == kind


def test_defaults_count_for_those_whom_they_concern(project, python):
    project.program("run")
    web, tool, plain = load(
        project,
        "[defaults]\ndrain_timeout = '5s'\nmax_requests = 9\noptions = { access_log = true }\nbalance = 'hash'\n"
        "[apps.web]\napp = 'm:a'\noptions = { log_level = 'info' }\n"
        "[apps.tool]\ncommand = 'run'\nbind = ':1'\n[apps.plain]\ncommand = 'run'\n",
    )
    assert (web.drain_timeout, web.max_requests, web.balance) == (5.0, 9, "hash")
    assert web.options == {"access_log": True, "log_level": "info"}
    assert (tool.drain_timeout, tool.max_requests, tool.balance, tool.options) == (5.0, None, "hash", {})
    assert (plain.drain_timeout, plain.balance) == (30.0, "shared")


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (f"{RUN}balance = 'shared'", "balance", "means nothing without bind"),
        (f"{RUN}drain_timeout = 3", "drain_timeout", "means nothing without bind"),
        (f"{RUN}kind = 'node'", "kind", "means nothing without bind"),
        (f"{RUN}options = {{ access_log = true }}", "options", "means nothing without bind"),
        (f"{RUN}bind = ':1'\noptions = {{ access_log = true }}", "options", "means nothing for kind 'command'"),
        (f"{RUN}bind = ':1'\nmax_requests = 3", "max_requests", "means nothing for kind 'command'"),
        (f"{RUN}bind = ':1'\nkind = 'node'\nrequest_timeout = 3", "request_timeout", "nothing for kind 'node'"),
        (f"{RUN}bind = ':1'\nkind = 'asgi'", "kind", "an object in a module, not a program"),
        (f"{APP}kind = 'node'", "kind", "is a program, and app is none"),
        (f"{APP}command = 'run'", "app", "command and app exclude each other"),
        (f"{APP}script = 'x.py'", "app", "script and app exclude each other"),
        (f"{RUN}bind = 8000", "bind", "must be a place to listen at such as '127.0.0.1:8000', or a list of them"),
        (f"{RUN}bind = []", "bind", "must not be empty"),
        (f"{RUN}bind = ''", "bind", "must not be empty"),
        (f"{RUN}bind = 'here'", "bind", "'here' is no place to listen: its port is a number up to 65535"),
        (f"{RUN}bind = '::1:80'", "bind", "an IPv6 address stands in brackets"),
        (f"{RUN}bind = [':1', ':70000']", "bind[1]", "its port is a number up to 65535"),
        (f"{RUN}bind = [':1', ':1']", "bind[1]", "':1' stands there twice"),
        (f"{RUN}bind = [':1', 2]", "bind[1]", "must be a string, not 2"),
        (f"{RUN}bind = ':1'\nbalance = 'random'", "balance", "must be 'shared' or 'hash' or 'port'"),
        (f"{RUN}bind = ':1'\nbalance = 'sticky'", "balance", "which only Python apps take"),
        (f"{RUN}bind = 'unix:x'\nbalance = 'hash'", "balance", "wants TCP, not a Unix socket"),
        (f"{APP}bind = 'unix:x'\nbalance = 'port'", "balance", "wants TCP, not a Unix socket"),
        (f"{RUN}bind = [':1', ':2']\nbalance = 'port'", "balance", "counts up from one address"),
        (f"{RUN}bind = ':0'\nbalance = 'port'", "balance", "0 is none"),
        (f"{RUN}bind = ':65535'\nbalance = 'port'\ninstances = 2", "balance", "2 ports from 65535 on are more"),
        (f"{APP}stop_signal = 'SIGINT'", "stop_signal", "a worker drains at SIGTERM"),
        (f"{APP}max_surge = 0", "max_surge", "must be 1 or more, not 0"),
        (f"{APP}backlog = 0", "backlog", "must be 1 or more, not 0"),
        (f"{APP}max_requests = 0", "max_requests", "must be 1 or more, not 0"),
        (f"{APP}max_requests_jitter = 1", "max_requests_jitter", "must be from 0 to below 1, not 1"),
        (f"{APP}max_requests_jitter = 'much'", "max_requests_jitter", "must be a number, not 'much'"),
        (f"{APP}worker_timeout = 0", "worker_timeout", "must be longer than zero, not 0"),
        (f"{APP}worker_timeout = 'none'", "worker_timeout", "'none' is not a duration"),
        (f"{APP}start_timeout = '0s'", "start_timeout", "must be longer than zero, not '0s'"),
        (f"{APP}options = {{ acess_log = true }}", "options.acess_log", "there is no option 'acess_log'"),
        (f"{APP}options = {{ port = 80 }}", "options.port", "port is no option here"),
        (f"{APP}options = {{ ws = ['x'] }}", "options.ws", "must be a string, a number or a boolean, not a list"),
        (f"{APP}options = {{ ws = inf }}", "options.ws", "must be a string, a number or a boolean"),
        (f"{APP}options = {{ ssl_keyfile = 'x.pem' }}", "options.ssl_keyfile", "there is no file 'x.pem'"),
        (f"{APP}kind = 'asgi'\noptions = {{ threads = 1 }}", "options.threads", "'threads' is no option for kind"),
        (f"{APP}kind = 'connection'\noptions = {{ ws = 'none' }}", "options.ws", "'ws' is no option for kind"),
        (f"{APP}kind = 'socket'\noptions = {{ threads = 1 }}", "options", "means nothing for kind 'socket'"),
        ("[apps.web]\napp = 'shop.web'", "app", "must be an app such as 'shop.web:app'"),
        ("[apps.web]\napp = 'shop/web.py:app'", "app", "must be an app such as 'shop.web:app'"),
        ("[apps.web]\napp = 'server.js'", "app", "must be an app such as 'shop.web:app'"),
    ],
)
def test_what_cannot_be(project, text, key, says):
    error = problem_of(project, text)
    assert (says in error.problem, error.key) == (True, f"apps.web.{key}"), str(error)
    assert error.line == next(
        number for number, line in enumerate(text.splitlines(), 1) if line.startswith(key.split(".")[0].split("[")[0])
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{RUN}balance = 'hash'", 'say where to listen: bind = "127.0.0.1:8000"'),
        (f"{APP}options = {{ acess_log = true }}", "did you mean access_log?"),
        (f"{APP}options = {{ workers = 3 }}", "their number is instances"),
        (f"{APP}worker_timeout = 'none'", 'no limit is written "never"'),
        (f"{APP}balanced = 1", "did you mean balance?"),
        ("[apps.web]\napp = 'shop:make()'", "it is not called; put app = make() into the module"),
        ("[apps.web]\napp = 'server.js'", "a file is a script"),
        ("[defaults]\nbind = ':1'\n[apps.web]\ncommand = 'run'", "it says what one app is; write it under [apps.NAME]"),
    ],
)
def test_hints(project, text, hint):
    assert problem_of(project, text).hint == hint


def test_a_default_that_does_not_fit_is_told_where_it_stands(project):
    error = problem_of(project, f"[defaults]\nbalance = 'sticky'\n{RUN}bind = ':1'")
    assert (error.key, error.line) == ("defaults.balance", 2)


def test_two_apps_at_one_place(project, python):
    text = "[apps.a]\napp = 'm:a'\n[apps.b]\napp = 'm:b'\n[apps.c]\napp = 'm:c'\nbind = [':0', '8000']\n"
    found = examine(project.file("rook.toml", text), environ=project.environ)
    assert [(problem.key, problem.line) for problem in found.problems] == [("apps.b.bind", 3), ("apps.c.bind", 7)]
    assert "a listens at 127.0.0.1:8000 already" in found.problems[0].problem
    assert load(project, text, only=["b"])[0].name == "b"


@pytest.mark.parametrize(
    ("app", "says", "hint"),
    [
        ("shop.wbe:app", "there is no module 'shop.wbe': FOLDER/shop has no 'wbe'", "did you mean web?"),
        ("shop.web.x:app", None, ""),  # web is a file: what is in it only Python knows
        ("shop.web:app", None, ""),
        ("shop.sub.x:app", "there is no module 'shop.sub.x': FOLDER/shop/sub has no 'x'", ""),
        ("loose.x:app", None, ""),  # no __init__: it may have other folders
        ("elsewhere.x:app", None, ""),
        ("shop.fast:app", None, ""),
    ],
)
def test_modules_that_are_not_there(project, python, app, says, hint):
    for name in ("shop/__init__.py", "shop/web.py", "shop/fast.cpython-311.so", "shop/sub/__init__.py", "loose/y.py"):
        project.file(name)
    text = f"[apps.web]\napp = '{app}'"
    if says is None:
        assert load(project, text)
        return
    error = problem_of(project, text)
    assert (error.key, error.problem) == ("apps.web.app", says.replace("FOLDER", project.folder))
    assert error.hint == hint


def test_certificates_are_seen_from_the_file(project, python):
    path = project.file("tls/key.pem")
    (spec,) = load(project, f"{APP}options = {{ ssl_keyfile = 'tls/key.pem' }}")
    assert spec.options == {"ssl_keyfile": path}


@pytest.fixture
def start(project):
    def resolve(target, *args, **options):
        return resolve_target(target, args, cwd=project.folder, options=options, environ=project.environ)

    return resolve


@pytest.mark.parametrize(
    ("target", "args", "options", "found"),
    [
        ("shop.web:app", (), {}, ("web", "app", ("127.0.0.1:8000",), ("PYTHON",))),
        ("app:app.inner", ("-x",), {}, ("app", "app", ("127.0.0.1:8000",), ("PYTHON", "-x"))),
        ("m:a", (), {"bind": ":80, unix:s"}, ("m", "app", (":80", "unix:FOLDER/s"), ("PYTHON",))),
        ("m:a", (), {"bind": [":80", "81"]}, ("m", "app", (":80", "127.0.0.1:81"), ("PYTHON",))),
        ("m:a", (), {"interpreter": "node"}, ("m", "app", ("127.0.0.1:8000",), ("NODE",))),
        ("server.js", ("-v",), {"bind": ":3000"}, ("server", "node", (":3000",), ("NODE", "SERVER", "-v"))),
        (None, ("node", "server.js"), {"bind": ":3000"}, ("node", "node", (":3000",), ("NODE", "server.js"))),
        ("node server.js", (), {"bind": ":3000"}, ("node", "node", (":3000",), ("NODE", "server.js"))),
        (None, ("./prog", "{fd}"), {"bind": ":9"}, ("prog", "command", (":9",), ("PROG", "{fd}"))),
        ("server.js", (), {}, ("server", "command", (), ("NODE", "SERVER"))),
    ],
)
def test_targets(project, start, python, target, args, options, found):
    words = {
        "PYTHON": python,
        "NODE": project.program("node"),
        "SERVER": project.file("server.js"),
        "PROG": project.program("./prog"),
    }
    spec = start(target, *args, **options)
    name, kind, places, command = found
    assert (spec.name, spec.kind) == (name, kind)
    assert spec.bind == tuple(place.replace("FOLDER", project.folder) for place in places)
    assert spec.command == tuple(words.get(word, word) for word in command)
    assert spec.app == (target if kind == "app" else "")


def test_a_file_or_a_command_of_that_name_is_meant(project, start, python):
    script = project.file("m:a", "#!/bin/sh\n", mode=0o755)
    assert start("m:a").command == (script,)
    program = project.program("x:y")
    assert start("x:y").command == (program,)
    with pytest.raises(UsageError):
        start("m:0")


def test_options_of_the_command_line(start, python):
    options = {"ws_max_queue": "3", "access_log": "on", "log_level": "info", "timeout_keep_alive": "1.5"}
    spec = start(
        "m:a", options=options, max_requests="9", max_requests_jitter="0.5", worker_timeout="never", backlog="5"
    )
    assert spec.options == {"ws_max_queue": 3, "access_log": True, "log_level": "info", "timeout_keep_alive": 1.5}
    assert (spec.max_requests, spec.max_requests_jitter, spec.worker_timeout, spec.backlog) == (9, 0.5, None, 5)


@pytest.mark.parametrize(
    ("target", "options", "key", "says"),
    [
        ("run", {"balance": "hash"}, "--balance", "means nothing without bind"),
        ("run", {"bind": ["x"]}, "--bind", "is no place to listen"),
        ("run", {"bind": ":1", "options": {"ws": "none"}}, "--option", "means nothing for kind"),
        ("m:a", {"options": {"wss": "none"}}, "--option", "there is no option 'wss'"),
        ("m:a", {"max_requests": "many"}, "--max-requests", "must be a whole number, not 'many'"),
        ("m:a", {"kind": "command"}, "--kind", "is a program, and app is none"),
        ("run", {"kind": "asgi", "bind": ":1"}, "--kind", "an object in a module"),
    ],
)
def test_problems_name_the_option(project, start, python, target, options, key, says):
    project.program("run")
    with pytest.raises(ConfigError) as caught:
        start(target, **options)
    assert (caught.value.key.split("[")[0], says in caught.value.problem) == (key, True), str(caught.value)


def spec_of(**changed):
    return AppSpec(**{"name": "web", "command": ("/bin/run",), "cwd": "/", **changed})


ON = {"bind": (":1",)}
ASGI = {**ON, "kind": "asgi", "app": "m:a"}


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"app": "m:a"}, "app"),
        ({"linger": 3.0}, "linger"),
        ({"kind": "node"}, "kind"),
        ({"options": {"ws": "none"}}, "options"),
        ({**ON, "kind": "asgi"}, "kind"),
        ({**ASGI, "kind": "node"}, "kind"),
        ({**ASGI, "app": "m"}, "app"),
        ({**ASGI, "options": {"app": "x"}}, "options"),
        ({**ASGI, "start_timeout": 0.0}, "start_timeout"),
        ({**ASGI, "backlog": 0}, "backlog"),
        ({**ASGI, "max_requests": -1}, "max_requests"),
        ({**ASGI, "worker_timeout": 0.0}, "worker_timeout"),
        ({**ASGI, "drain_timeout": -1.0}, "drain_timeout"),
        ({**ASGI, "max_requests_jitter": 1.0}, "max_requests_jitter"),
        ({**ASGI, "linger": float("nan")}, "linger"),
        ({**ON, "linger": 3.0}, "linger"),
        ({"bind": ("nowhere",)}, "bind"),
        ({"bind": ("unix:x",)}, "bind"),
        ({**ON, "balance": "sticky"}, "balance"),
    ],
)
def test_the_api_knows_the_same_rules(changed, key):
    with pytest.raises(BadValue) as caught:
        check_cluster(spec_of(**changed))
    assert caught.value.path[0] == key


@pytest.mark.parametrize(
    "changed", [{}, ON, ASGI, {**ON, "kind": "node", "linger": 3.0}, {**ASGI, "balance": "sticky"}]
)
def test_what_is_right_for_the_api(changed):
    check_cluster(spec_of(**changed))


def test_the_options_are_those_of_the_server():
    import uvicorn

    there = set(inspect.signature(uvicorn.Config).parameters)
    assert there >= UVICORN
    assert set(BY_KIND) < {"app", "asgi", "wsgi", "connection", "socket"}


def test_changes_are_shown_as_they_are_written():
    old, new = spec_of(**ASGI), spec_of(**{**ASGI, "max_lifetime": 60.0, "options": {"ssl_keyfile_password": "geheim"}})
    (found,) = compare([new], {"web": Known(msgspec.to_builtins(old), 1)})
    told = {
        change.key: (shown(change.key, change.old), shown(change.key, change.new))
        for change in map(masked, found.changes)
    }
    assert told == {"max_lifetime": ("never", "1m"), "options.ssl_keyfile_password": ("none", "***")}


def test_a_manager_of_before_knows_nothing_of_ports():
    old = msgspec.to_builtins(spec_of())
    for key in (*CLUSTER_KEYS, "app"):
        del old[key]
    (found,) = compare([spec_of()], {"web": Known(old, 1)})
    assert found.kind == "unchanged"
