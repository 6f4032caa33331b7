from __future__ import annotations

import os

import pytest

from rookery.config.spec import BackoffSpec, LogSpec, MaxRestarts
from rookery.config.target import is_config_file, resolve_target
from rookery.errors import ConfigError, UsageError


@pytest.fixture
def start(project):
    """Resolve as ``rook start`` would in the project's folder."""

    def resolve(target, *args, **options):
        return resolve_target(target, args, cwd=project.folder, options=options, environ=project.environ)

    return resolve


def test_a_python_script(project, start):
    python = project.program("./.venv/bin/python")
    script = project.file("web app.py")
    spec = start("web app.py", "--port", "80")
    assert spec.command == (python, script, "--port", "80")
    assert (spec.name, spec.cwd, spec.env) == ("web-app", project.folder, {"PYTHONUNBUFFERED": "1"})


@pytest.mark.parametrize(
    ("target", "args", "expected", "name"),
    [
        ("web.js", [], ["NODE", "WEB"], "web"),
        ("./web.js", ["a b", "$HOME", "|"], ["NODE", "WEB", "a b", "$HOME", "|"], "web"),
        ("web.js --port 80", ["-v"], ["NODE", "WEB", "--port", "80", "-v"], "web"),
        ("node", ["-e", "1"], ["NODE", "-e", "1"], "node"),
        ("node -e 'a; b' \"c > d\"", [], ["NODE", "-e", "a; b", "c > d"], "node"),
        (r"node a\;b", [], ["NODE", "a;b"], "node"),
        (None, ["node", "a b; c"], ["NODE", "a b; c"], "node"),
        (None, ["./tool", "-x"], ["TOOL", "-x"], "tool"),
        ("./tool", [], ["TOOL"], "tool"),
        ("data", [], ["DATA"], "data"),
    ],
)
def test_commands(project, start, target, args, expected, name):
    project.file("data", "a file that is only named like a command")
    words = {
        "NODE": project.program("node"),
        "WEB": project.file("web.js"),
        "TOOL": project.program("./tool"),
        "DATA": project.program("data"),
    }
    spec = start(target, *args)
    assert spec.command == tuple(words.get(word, word) for word in expected)
    assert spec.name == name


@pytest.mark.parametrize(
    ("target", "args", "module", "expected", "name"),
    [
        (None, [], "pkg.main", ["-m", "pkg.main"], "main"),
        ("8000", ["-v"], "http.server", ["-m", "http.server", "8000", "-v"], "server"),
        (None, [], "pkg.__main__", ["-m", "pkg.__main__"], "pkg"),
    ],
)
def test_modules(project, start, target, args, module, expected, name):
    python = project.program("python3")
    spec = start(target, *args, module=module)
    assert (spec.command, spec.name) == ((python, *expected), name)
    assert spec.env["PYTHONUNBUFFERED"] == "1"


def test_a_shell_only_when_asked(start):
    spec = start("echo $HOME | wc -c", shell=True)
    assert spec.command == ("/bin/sh", "-c", "echo $HOME | wc -c")
    assert spec.name == "echo"


@pytest.mark.parametrize(
    ("target", "mark"),
    [
        ("node a | tee b", "|"),
        ("node > out", ">"),
        ("node < in", "<"),
        ("echo $HOME", "$"),
        ('echo "$HOME"', "$"),
        ("a; b", ";"),
        ("a && b", "&"),
        ("echo `date`", "`"),
        ('echo "`date`"', "`"),
        ("a|b", "|"),
    ],
)
def test_what_only_a_shell_understands(start, target, mark):
    with pytest.raises(UsageError) as caught:
        start(target)
    assert f"contains {mark!r}" in caught.value.what
    assert "--shell" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "args", "options", "says", "hint"),
    [
        (None, [], {}, "nothing to start", "name a script"),
        ("", [], {}, "the target is empty", "name a script"),
        ("''", [], {}, "the target is empty", "name a script"),
        ("wbe.py", [], {}, "no such file in PROJECT and no such command on PATH", "did you mean web.py?"),
        ("./wbe.py", [], {}, "no such file in PROJECT", "did you mean web.py?"),
        ("nodd", [], {}, "no such command on PATH", "did you mean node?"),
        (".", [], {}, "'.' is a directory", "name a script in it"),
        ("sub", [], {}, "'sub' is a directory", "rook start sub/rook.toml"),
        ("sub/", [], {}, "'sub/' is a directory", "rook start sub/rook.toml"),
        ("node 'x", [], {}, "no closing quotation", ""),
        ("a b", ["c"], {"shell": True}, "whole command is one text", "quotes"),
        ("gone.py", [], {"interpreter": "node"}, "there is no file 'gone.py'", ""),
        ("notes.txt", [], {}, "nothing says how to run 'notes.txt'", "name its interpreter"),
        (None, ["web.py"], {}, "there is no command 'web.py'", "a file in cwd is written './web.py'"),
        ("web.py", [], {}, "there is no Python", "create a virtualenv"),
    ],
)
def test_targets_that_are_nothing(project, start, target, args, options, says, hint):
    project.program("node")
    project.file("web.py")
    project.file("notes.txt")
    project.file("sub/rook.toml")
    with pytest.raises(UsageError) as caught:
        start(target, *args, **options)
    assert says.replace("PROJECT", project.folder) in str(caught.value)
    assert hint in caught.value.hint
    assert getattr(caught.value, "key", "") == ""


def test_options_are_the_keys_of_the_file(project, start):
    program = project.program("run")
    project.file("x.env", "A=file\nB=file")
    spec = start(
        "run",
        name="web-2",
        namespace="shop",
        instances="3",
        cwd="..",
        env={"A": "option"},
        env_file="x.env",
        restart="never",
        restart_delay="1s",
        max_restarts="4",
        ok_exit_codes="0, 143",
        graceful_timeout="10s",
        stop_signal="int",
        min_uptime="500ms",
        umask="027",
        backoff={"factor": "1.5", "jitter": "no"},
        logs={"merge": "all", "max_size": "1M", "keep": "2", "timestamps": True},
        user=None,
    )
    assert (spec.name, spec.namespace, spec.instances, spec.origin) == ("web-2", "shop", 3, "")
    assert (spec.command, spec.cwd) == ((program,), os.path.dirname(project.folder))
    assert spec.env == {"A": "option", "B": "file"}
    assert (spec.restart, spec.restart_delay, spec.ok_exit_codes) == ("never", 1.0, (0, 143))
    assert spec.max_restarts == MaxRestarts(count=4)
    assert spec.backoff == BackoffSpec(factor=1.5, jitter=False)
    assert (spec.graceful_timeout, spec.stop_signal, spec.min_uptime, spec.umask) == (10.0, "SIGINT", 0.5, 0o027)
    assert spec.logs == LogSpec(merge="all", max_size=1024**2, keep=2, timestamps=True)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"timestamps": "on"}, {"timestamps": True}),
        ({"timestamps": "off"}, {"timestamps": False}),
        ({"timestamps": "%H:%M"}, {"timestamps": "%H:%M"}),
        ({"timestamps": "HH:mm:ss.SSS"}, {"timestamps": "HH:mm:ss.SSS"}),
        ({"prefix": "on", "combined": "yes"}, {"prefix": True, "combined": True}),
        ({"json": "true", "compress": "on"}, {"json": True, "compress": True}),
        ({"rotate": "daily", "on_full": "block"}, {"rotate": "daily", "on_full": "block"}),
        ({"via": "direct", "max_size": "1M", "keep": "2"}, {"via": "direct", "max_size": 1024**2, "keep": 2}),
        ({"via": "direct", "rotate": "never", "json": "off"}, {"via": "direct"}),
        ({"via": "stdout", "timestamps": "on"}, {"via": "stdout", "timestamps": True}),
    ],
)
def test_how_logs_are_written(project, start, given, meant):
    project.program("node")
    project.file("web.js")
    assert start("web.js", logs=given).logs == LogSpec(**meant)


@pytest.mark.parametrize(
    ("options", "key", "says"),
    [
        ({"logs": {"timestamps": "1"}}, "--logs-timestamps", "nothing of the time"),
        ({"logs": {"on_full": "x"}}, "--logs-on-full", "must be 'drop' or 'block'"),
        ({"logs": {"json": "on", "prefix": "on"}}, "--logs-prefix", "a prefix makes no JSON"),
        ({"logs": {"via": "direct", "on_full": "block"}}, "--logs-on-full", 'does not go with via = "direct"'),
        ({"graceful_timeout": "10x"}, "--graceful-timeout", "'10x' is not a duration"),
        ({"instances": "many"}, "--instances", "must be a number from 1"),
        ({"instances": "0"}, "--instances", "must be 1 or more, not 0"),
        ({"name": "all"}, "--name", "selects every app"),
        ({"logs": {"keep": "x"}}, "--logs-keep", "must be a whole number, not 'x'"),
        ({"max_restarts": {"count": "x"}}, "--max-restarts", "must be a whole number, not 'x'"),
        ({"max_restarts": {"count": "1", "window": "0"}}, "--max-restarts-window", "longer than zero"),
        ({"max_restarts": {"window": "1m"}}, "--max-restarts", "count is missing"),
        ({"max_restarts": "x"}, "--max-restarts", "must be a whole number"),
        ({"backoff": {"factor": "x"}}, "--backoff-factor", "must be a number, not 'x'"),
        ({"ok_exit_codes": "0,x"}, "--ok-exit-codes", "must be an exit code"),
        ({"env": {"ROOKERY_UNIT": "x"}}, "--set-env", "is set by rookery itself"),
        ({"env_file": "gone"}, "--env-file", "there is no file 'gone'"),
        ({"cwd": "gone"}, "--cwd", "there is no folder "),
        ({"interpreter": "nodd"}, "--interpreter", "there is no command 'nodd' on PATH"),
        ({"stop_signal": "SIGTREM"}, "--stop-signal", "is no signal"),
        ({"watch": True}, "--watch", "not supported yet"),
        ({"backoff": {"base": "1m", "cap": "1s"}}, "--backoff", "is below base"),
    ],
)
def test_problems_name_the_option(project, start, options, key, says):
    project.program("node")
    project.file("web.js")
    with pytest.raises(ConfigError) as caught:
        start("web.js", **options)
    assert (caught.value.file, caught.value.line) == ("", None)
    assert says in caught.value.problem
    assert caught.value.key.split("[")[0] == key


def test_a_callers_folder_that_is_gone(project):
    project.program("node")
    with pytest.raises(ConfigError, match="there is no folder /gone") as caught:
        resolve_target("node", [], cwd="/gone", options={}, environ=project.environ)
    assert caught.value.key == ""


def test_scripts_and_interpreters_are_seen_from_the_callers_folder(project, start):
    node = project.program("./tools/node")
    script = project.file("web.js")
    elsewhere = project.folder_at("elsewhere")
    spec = start("web.js", interpreter="tools/node", cwd=elsewhere)
    assert (spec.command, spec.cwd) == ((node, script), elsewhere)


@pytest.mark.parametrize(
    ("file", "name"),
    [("12.js", "app-12"), ("all.js", "app-all"), ("web:1.js", "web-1"), ("ü.js", "app"), (".x.js", "x")],
)
def test_default_names_are_allowed_ones(project, start, file, name):
    project.program("node")
    project.file(file)
    assert start(file).name == name


@pytest.mark.parametrize(
    ("name", "expected"), [("rook.toml", True), ("gone.toml", False), ("web.py", False), ("folder.toml", False)]
)
def test_is_config_file(project, name, expected):
    project.file("rook.toml")
    project.file("web.py")
    project.folder_at("home/work/project/folder.toml")
    assert is_config_file(os.path.join(project.folder, name)) is expected


def test_the_processes_own_environment_is_the_default(project, monkeypatch):
    program = project.program("run")
    monkeypatch.setenv("PATH", project.bin)
    assert resolve_target("run", [], cwd=project.folder, options={}).command == (program,)
