from __future__ import annotations

import json
import time

import pytest
from fake_manager import ended, row

from rookery.cli.details import block, tree


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


def test_a_running_instance():
    assert block(detail(), {"/l/out": ["hello", "wor\x1b[1mld"], "/l/err": []}) == [
        "● web:0 - running (pid 101) for 1m5s",
        "  id        1, namespace default",
        "  command   /usr/bin/python 'my app.py'",
        "  cwd       /srv",
        "  env       TOKEN=***",
        "  restarts  0, policy always",
        "  use       cpu 1.2%, memory 50.0M",
        "  processes 101 python app.py  1.0M",
        "              102 child  1.0M",
        "                103 grandchild  1.0M",
        "              104 python app.py  1.0M",
        "  out       /l/out",
        "      hello",
        "      world",
        "  err       /l/err",
    ]


@pytest.fixture
def utc(monkeypatch):
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_one_that_crashed(utc):
    down = row(1, pid=None, state="backoff", uptime=None, cpu=None, memory=None, exit=ended(stderr=["KeyError"]))
    lines = block(detail(row=down, next_restart=2.5, tree=[], log_out="/l/log", log_err="/l/log"), {})
    assert lines[0] == "● web:0 - backoff, starts again in 2.5s"
    at = lines.index("  last exit exited with code 1, 2023-11-14 22:13:20")
    assert lines[at + 1 :] == ["      KeyError", "  log       /l/log"]


@pytest.mark.parametrize(
    ("processes", "lines"),
    [
        ([], []),
        ([process(5, 1), process(3, 5)], ["5 python app.py  1.0M", "  3 python app.py  1.0M"]),
        ([process(5, 6), process(6, 5)], []),  # cannot be, and must not hang
        ([process(5, 99)], ["5 python app.py  1.0M"]),
    ],
)
def test_tree(processes, lines):
    assert tree(processes) == lines


def test_show_reads_the_logs_itself(rook, manager, tmp_path):
    (tmp_path / "out").write_bytes(b"".join(b"line %d\n" % number for number in range(9)))
    found = [detail(log_out=str(tmp_path / "out"), log_err=str(tmp_path / "none")), detail()]
    manager.answers["GET", "/v1/details"] = 200, found
    ran = rook("show", "web", "-n", "2")
    assert ran.code == 0
    assert "      line 7\n      line 8\n  err " in ran.out
    assert "line 6" not in ran.out
    assert ran.out.count("● web:0") == 2
    assert json.loads(rook("show", "web", "--json").out) == found
    assert manager.asked[0].selectors == ["web"]


def test_no_manager(rook):
    assert rook("show", "web").code == 3
