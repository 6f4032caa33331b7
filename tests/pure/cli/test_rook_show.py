from __future__ import annotations

import json
import time

import pytest
from fake_manager import ended, row

from rookery.cli.details import LogEnd, block
from rookery.cli.policy_words import limits, restart_policy, stop_plan


def process(pid, ppid, command="python app.py"):
    return {"pid": pid, "ppid": ppid, "command": command, "memory": 1024 * 1024, "cpu": None}


def detail(**changed):
    return {
        "row": row(1),
        "app": {
            "name": "web",
            "command": ["/usr/bin/python", "my app.py"],
            "cwd": "/srv",
            "env": {"TOKEN": "***"},
            "restart": "always",
        },
        "desired": "running",
        "generation": 1,
        "next_restart": None,
        "tree": [process(101, 1), process(102, 101, "child"), process(103, 102, "grandchild"), process(104, 101)],
        "log_out": "/l/out",
        "log_err": "/l/err",
        **changed,
    }


@pytest.fixture
def utc(monkeypatch):
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_a_running_instance(utc):
    logs = {"/l/out": LogEnd(2048, 2, ["hello", "wor\x1b[1mld"]), "/l/err": LogEnd(0, 0, [])}
    assert block(detail(), logs) == [
        "● web:0 - running (pid 101) for 1m5s",
        "  id        1, namespace default",
        "  since     2023-11-14 22:13:20",
        "  command   /usr/bin/python 'my app.py'",
        "  cwd       /srv",
        "  env       1 variable",
        "      TOKEN=***",
        "  restarts  0, always restarted",
        "  stop      SIGTERM to all its processes, SIGKILL after 10s",
        "  use       cpu 1.2%, memory 50.0M",
        "  processes 101  -  1.0M  python app.py",
        "            102  -  1.0M  ├─ child",
        "            103  -  1.0M  │  └─ grandchild",
        "            104  -  1.0M  └─ python app.py",
        "  out       /l/out  (2.0K and 2 rotated)",
        "      hello",
        "      world",
        "  err       /l/err  (0B)",
    ]


def test_the_state_has_its_colour():
    assert block(detail(), {}, colour=True)[0].startswith("\x1b[32m●\x1b[0m \x1b[1mweb:0\x1b[0m - \x1b[32mrunning")


def test_one_that_crashed(utc):
    down = row(1, pid=None, state="backoff", uptime=None, cpu=None, memory=None, exit=ended(stderr=["KeyError"]))
    lines = block(detail(row=down, next_restart=2.5, tree=[], log_out="/l/log", log_err="/l/log"), {})
    assert lines[0] == "● web:0 - backoff, starts again in 2.5s: exited with code 1"
    at = lines.index("  last exit exited with code 1, 2023-11-14 22:13:20")
    assert lines[at + 1 :] == ["      KeyError", "  log       /l/log"]
    down["exit"]["lifetime"] = 3.0
    assert "  last exit exited with code 1 after 3s, 2023-11-14 22:13:20" in block(detail(row=down), {})


def test_not_ready_and_what_it_says_of_itself():
    waiting = detail(row=row(1, ready=False), status="loading")
    assert block(waiting, {})[0] == "● web:0 - running (pid 101) for 1m5s, not ready yet: loading"


BACKOFF = {"base": 0.1, "cap": 30.0, "factor": 2.0, "jitter": True}


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ({}, "always restarted"),
        ({"restart": "never", "backoff": BACKOFF}, "never restarted"),
        ({"restart": "on-failure", "ok_exit_codes": [0]}, "restarted after a failure"),
        ({"restart": "on-failure", "ok_exit_codes": [0, 143]}, "restarted after a failure (exit 143 is no failure)"),
        ({"backoff": BACKOFF}, "always restarted, waiting 100ms to 30s in a crash loop"),
        ({"restart_delay": 2.0}, "always restarted and 2s before each"),
        ({"max_restarts": {"count": 3, "window": 60.0}}, "always restarted, given up after 3 within 1m"),
    ],
)
def test_the_restart_policy_in_words(app, text):
    assert restart_policy(app) == text


def test_stop_and_limits_in_words():
    assert stop_plan({}) == "SIGTERM to all its processes, SIGKILL after 10s"
    assert (
        stop_plan({"stop_signal": "SIGINT", "stop_scope": "leader", "graceful_timeout": 60.0})
        == "SIGINT to its first process, SIGKILL after 1m"
    )
    assert limits({"limits": {"memory": 2**30, "open_files": 64, "cpu_time": 3600, "core": None}}) == (
        "memory 1.0G, open files 64, cpu time 1h"
    )
    assert limits({"limits": dict.fromkeys(["memory", "core"])}) == limits({}) == ""


def test_show_reads_the_logs_itself(rook, manager, tmp_path):
    (tmp_path / "out").write_bytes(b"".join(b"line %d\n" % number for number in range(9)))
    found = [detail(log_out=str(tmp_path / "out"), log_err=str(tmp_path / "none")), detail()]
    manager.answers["GET", "/v1/details"] = 200, found
    (tmp_path / "out.1").touch()
    (tmp_path / "out.2.gz").touch()
    (tmp_path / "out.idx").touch()
    ran = rook("show", "web", "-n", "2")
    assert ran.code == 0
    assert f"  out       {tmp_path}/out  (63B and 2 rotated)\n      line 7\n      line 8\n  err " in ran.out
    assert "(No such file or directory)" in ran.out
    assert "line 6" not in ran.out
    assert ran.out.count("● web:0") == 2
    assert json.loads(rook("show", "web", "--json").out) == found
    assert manager.asked[0].selectors == ["web"]


def test_no_manager(rook):
    assert rook("show", "web").code == 3
