"""Every option of every command, against a real manager: what it sets arrives, and nobody adds one without a test."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_root
from rookery.cli.main import COMMANDS
from rookery.cli.parser import parser_of
from rookery.testing import wait_until

pytestmark = pytest.mark.real

SETTINGS = [  # options of `rook start`, where the app's description shows them, and as what
    (("--namespace", "shop"), ("namespace",), "shop"),
    (("--restart", "on-failure"), ("restart",), "on-failure"),
    (("--max-restarts", "3", "--max-restarts-window", "2m"), ("max_restarts",), {"count": 3, "window": 120.0}),
    (("--min-uptime", "50ms"), ("min_uptime",), 0.05),
    (("--stable-after", "20s"), ("stable_after",), 20.0),
    (("--restart-delay", "1s"), ("restart_delay",), 1.0),
    (("--backoff-base", "1s"), ("backoff", "base"), 1.0),
    (("--backoff-factor", "3"), ("backoff", "factor"), 3.0),
    (("--backoff-cap", "1m"), ("backoff", "cap"), 60.0),
    (("--backoff-jitter", "off"), ("backoff", "jitter"), False),
    (("--ok-exit-codes", "0,3"), ("ok_exit_codes",), [0, 3]),
    (("--stop-signal", "SIGINT"), ("stop_signal",), "SIGINT"),
    (("--graceful-timeout", "3s"), ("graceful_timeout",), 3.0),
    (("--stop-scope", "leader"), ("stop_scope",), "leader"),
    (("--stdin", "pipe"), ("stdin",), "pipe"),
    (("--logs-merge", "all"), ("logs", "merge"), "all"),
    (("--logs-max-size", "1M"), ("logs", "max_size"), 1 << 20),
    (("--logs-keep", "3"), ("logs", "keep"), 3),
    (("--logs-timestamps", "%H:%M"), ("logs", "timestamps"), "%H:%M"),
    (("--logs-prefix", "on"), ("logs", "prefix"), True),
    (("--logs-json", "on"), ("logs", "json"), True),
    (("--logs-combined", "on"), ("logs", "combined"), True),
    (("--logs-rotate", "daily"), ("logs", "rotate"), "daily"),
    (("--logs-compress", "on"), ("logs", "compress"), True),
    (("--logs-on-full", "block"), ("logs", "on_full"), "block"),
    (("--logs-via", "direct"), ("logs", "via"), "direct"),
    (("--limits-memory", "2G"), ("limits", "memory"), 2 << 30),
    (("--limits-open-files", "99"), ("limits", "open_files"), 99),
    (("--limits-processes", "5000"), ("limits", "processes"), 5000),
    (("--limits-cpu-time", "100s"), ("limits", "cpu_time"), 100),
    (("--limits-core", "0"), ("limits", "core"), 0),
]
SERVING = [  # of apps that share a port
    (("--bind", "127.0.0.1:0", "--bind", "localhost:0"), ("bind",), ["127.0.0.1:0", "localhost:0"]),
    (("--balance", "hash"), ("balance",), "hash"),
    (("--kind", "asgi"), ("kind",), "asgi"),
    (("--drain-timeout", "3s"), ("drain_timeout",), 3.0),
    (("--linger", "0s"), ("linger",), 0.0),
    (("--max-surge", "2"), ("max_surge",), 2),
    (("--start-timeout", "20s"), ("start_timeout",), 20.0),
    (("--backlog", "99"), ("backlog",), 99),
    (("--max-requests", "999"), ("max_requests",), 999),
    (("--max-requests-jitter", "0.5"), ("max_requests_jitter",), 0.5),
    (("--max-lifetime", "1h"), ("max_lifetime",), 3600.0),
    (("--worker-timeout", "never"), ("worker_timeout",), None),
    (("--request-timeout", "1m"), ("request_timeout",), 60.0),
    (("--option", "server_header=off", "--option", "ws=none"), ("options",), {"server_header": False, "ws": "none"}),
]
LIMITS = {"memory": "Max address space", "open_files": "Max open files", "processes": "Max processes"}
LIMITS |= {"cpu_time": "Max cpu time", "core": "Max core file size"}
BAD = {"--namespace": "a b", "--limits-core": "much", "--logs-timestamps": "%Q"}


def at(plain, path):
    for key in path:
        plain = plain[key]
    return plain


ALONE = ("--logs-json", "--logs-via")
"""These exclude others."""


@pytest.mark.parametrize("alone", [None, *ALONE])
def test_settings_arrive(rook, alone):
    rows = [row for row in SETTINGS if (row[0][0] == alone if alone else row[0][0] not in ALONE)]
    row = rook.start("idle.py", "web", options=[word for options, _, _ in rows for word in options])
    (detail,) = rook.json("show", "web")
    limits = Path(f"/proc/{row['pid']}/limits").read_text()
    for options, path, value in rows:
        assert at(detail["app"], path) == value, options
        if path[0] == "limits":
            assert int(re.search(rf"{LIMITS[path[1]]} +(\S+)", limits)[1]) == value, options


def test_settings_of_a_port_arrive(rook):
    words = [word for options, _, _ in SERVING for word in options]
    rook.ok("start", "web:app", "--cwd", rook.programs / "cluster", *words)
    (detail,) = rook.json("show", "web")
    for options, path, value in SERVING:
        assert at(detail["app"], path) == value, options
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*, ?(127\.0\.0\.1:[1-9]\d*|\[::1\]:[1-9]\d*|, ?)+", detail["row"]["bind"])


def test_bad_values_are_refused_and_start_nothing(rook):
    rook.start("idle.py", "web")
    rows = [(rook.programs / "idle.py", row) for row in SETTINGS] + [("bad:app", row) for row in SERVING]
    for target, ((flag, *_), _, _) in rows:
        refused = rook("start", target, "--name", "bad", flag, BAD.get(flag, "n\to"))
        assert refused.code == 2, flag
        assert refused.err.startswith("rook: "), flag
    assert [row["name"] for row in rook.rows()] == ["web"]


def test_what_the_process_itself_has(rook, tmp_path):
    """cwd, environment and its file, umask, interpreter, module, shell, instances."""
    (tmp_path / "vars.env").write_text("FROM_FILE=one\n")
    (tmp_path / "tell.py").write_text(
        "import os, sys, time\nmask = os.umask(0)\n"
        "found = [os.environ.get(name) for name in ('FROM_FILE', 'SET')]\n"
        "print(os.getcwd(), *found, oct(mask), sys.flags.dev_mode, flush=True)\n"
        "time.sleep(1000)\n"
    )
    python = tmp_path / "my-python"
    python.write_text(f'#!/bin/sh\nexec {os.path.realpath(os.sys.executable)} -X dev "$@"\n')
    python.chmod(0o755)
    options = ("--cwd", tmp_path, "--env-file", tmp_path / "vars.env", "--set-env", "SET=two", "--umask", "077")
    rook.ok("start", tmp_path / "tell.py", "-n", "tell", "-i", "2", "--interpreter", python, *options)
    wait_until(lambda: rook.log("tell") and rook.log("tell", index=1), DEADLINE, "both")
    assert rook.log("tell") == [f"{tmp_path} one two 0o77 True"] == rook.log("tell", index=1)
    rook.ok("start", "-m", "http.server", "--name", "module", "--cwd", tmp_path, "--", "--bind", "127.0.0.1", "0")
    rook.ok("start", "echo $((6*7)); exec sleep 1000", "--shell", "--name", "shell")
    wait_until(lambda: rook.log("shell") == ["42"], DEADLINE, "what the shell made of it")
    assert "-m" in rook.json("show", "module")[0]["app"]["command"]


@needs_root
def test_another_user_and_group(rook):
    rook.ok(
        "start", "--name", "who", "--user", "nobody", "--group", "daemon", "--wait", "started", "--", "/bin/sleep", "99"
    )
    status = Path(f"/proc/{rook.row('who')['pid']}/status").read_text()
    import grp
    import pwd

    assert int(re.search(r"Uid:\s+(\d+)", status)[1]) == pwd.getpwnam("nobody").pw_uid
    assert int(re.search(r"Gid:\s+(\d+)", status)[1]) == grp.getgrnam("daemon").gr_gid


def test_a_profile_of_a_file(rook, tmp_path):
    file = tmp_path / "rook.toml"
    program = rook.programs / "idle.py"
    file.write_text(f'[apps.web]\nscript = "{program}"\nenv = {{ A = "plain" }}\nenv_profiles.far = {{ A = "far" }}\n')
    assert [one["kind"] for one in rook.json("diff", file, "--env", "far")] == ["new"]
    assert rook("check", file, "--env", "far").code == 0
    assert rook("check", file, "--env", "near").code == 2
    rook.ok("start", file, "--env", "far", "--wait", "started")
    assert rook.json("show", "web")[0]["app"]["env"]["A"] == "far"
    assert "unchanged" in rook.ok("diff", file, "--env", "far", "--exit-code")
    assert rook("diff", file, "--exit-code").code == 1
    assert json.loads(rook.ok("check", "--schema"))["type"] == "object"


def test_the_others(rook, tmp_path):
    """Options of logs, tree, send and init that no other test has."""
    rook.ok("start", "--name", "cat", "--stdin", "pipe", "--wait", "started", "--", "/bin/cat")
    rook.ok("send", "cat", "one", "--no-newline")
    rook.ok("send", "cat", "two")
    wait_until(lambda: rook.log("cat") == ["onetwo"], DEADLINE, "one line")
    rook.ok("send", "cat", "\x1b[2Jthree")
    wait_until(lambda: len(rook.log("cat")) == 2, DEADLINE, "the second line")
    assert rook.ok("logs", "cat", "--grep", "one", "-v", "--raw") == "\x1b[2Jthree\n"
    assert rook.ok("logs", "cat", "--grep", "one", "--invert", "--raw") == "\x1b[2Jthree\n"
    assert "cat" in rook.ok("tree", "cat", "--interval", "10ms")
    (rook.folder / "app.py").write_text("print('x')\n")
    assert "[apps" in rook.ok("init", "--print")
    assert not (rook.folder / "rook.toml").exists()
    rook.ok("init")
    assert rook("init").code == 1
    rook.ok("init", "--force")


def test_every_option_is_in_a_test_against_a_real_manager():
    text = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    missing = []
    for name in COMMANDS:
        module = __import__(f"rookery.cli.commands.{name}", fromlist=["run"])
        for action in parser_of(name, module.run)._actions:
            flags = [flag for flag in action.option_strings if flag not in ("-h", "--help")]
            if flags and not any(re.search(rf"""["' ]{re.escape(flag)}["'= ,]""", text) for flag in flags):
                missing.append((name, flags))
    assert not missing
