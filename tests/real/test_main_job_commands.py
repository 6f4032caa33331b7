"""Every command, as a person uses it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from capabilities import DEADLINE, needs_node
from rookery.testing import wait_until

pytestmark = pytest.mark.real

NOT_ON_THE_HOT_PATH = {"asyncio", "msgspec", "rich", "psutil", "http.client", "subprocess", "argparse", "typing"}


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        (["idle.py"], "idle", "idle"),
        (["idle.py", "one", "two"], "idle", "idle one two"),
        (["idle.sh"], "idle", "from a shell"),
        (["--", "/bin/sh", "-c", "echo a command; exec sleep 1000"], "sh", "a command"),
        (["sh -c 'echo quoted; exec sleep 1000'"], "sh", "quoted"),
        (["--shell", "echo a; echo $((1+2)) && exec sleep 1000"], "echo", "3"),
    ],
    ids=["python", "python-args", "shebang", "after-dashes", "one-text", "shell"],
)
def test_start_takes_any_program(rook, words, name, said):
    words = [os.path.join(rook.programs, word) if word.startswith("idle.") else word for word in words]
    rook.ok("start", "--wait", "started", *words)
    assert rook.row(name)["state"] == "running"
    wait_until(lambda: said in rook.log(name), DEADLINE, "what it says")


@needs_node
def test_start_takes_a_node_script(rook, tmp_path):
    rook.ok("start", rook.programs / "web.js", "--wait", "started", "--", tmp_path / "port")
    wait_until((tmp_path / "port").exists, DEADLINE, "the port")
    assert rook.row("web")["state"] == "running"


def test_start_settles_by_default(rook):
    out = rook.ok("start", rook.programs / "idle.py")
    row = rook.row("idle")
    assert out == f"idle:0  started  pid {row['pid']}\n"
    assert row["uptime"] >= 1.0


FILE = """
[defaults]
namespace = "shop"
min_uptime = "200ms"
[apps.web]
script = "idle.py"
instances = 2
env = { GREETING = "hello" }
[apps.worker]
command = ["/bin/sh", "-c", "echo $GREETING; exec sleep 1000"]
env = { GREETING = "good morning" }
"""


@pytest.fixture
def shop(rook, tmp_path):
    (tmp_path / "rook.toml").write_text(FILE.replace("idle.py", f"{rook.programs}/idle.py"))
    rook.ok("start", "rook.toml")
    return rook


def test_a_file_with_several_apps(shop, tmp_path):
    rows = shop.json("list")
    assert [(row["id"], row["name"], row["index"], row["namespace"]) for row in rows] == [
        (0, "web", 0, "shop"),
        (1, "web", 1, "shop"),
        (2, "worker", 0, "shop"),
    ]
    wanted = {"id", "name", "namespace", "index", "pid", "state", "ready", "restarts", "uptime", "cpu", "memory"}
    of_workers = {"requests", "errors", "in_flight", "requests_per_second", "latency", "connections", "heartbeat"}
    assert wanted | {"exit", "since", "bind"} | of_workers == set(rows[0])
    assert all(rows[0][field] is None for field in of_workers)
    assert all(row["state"] == "running" and row["ready"] for row in rows)
    wait_until(lambda: shop.log("worker") == ["good morning"], DEADLINE, "its environment")

    pids = [row["pid"] for row in rows]
    assert "unchanged" in shop.ok("start", "rook.toml")
    assert [row["pid"] for row in shop.rows()] == pids

    text = (tmp_path / "rook.toml").read_text()
    (tmp_path / "rook.toml").write_text(text.replace("instances = 2", "instances = 3").replace("good morning", "bye"))
    shop.ok("start", "rook.toml")
    rows = shop.rows()
    assert [(row["name"], row["index"], row["id"]) for row in rows][2:] == [("worker", 0, 2), ("web", 2, 3)]
    assert [row["pid"] for row in rows[:2]] == pids[:2]  # those that are as described are left alone
    assert rows[2]["pid"] != pids[2]
    wait_until(lambda: shop.log("worker")[-1] == "bye", DEADLINE, "the new environment")

    (tmp_path / "rook.toml").write_text(text.replace("instances = 2", "instances = 1"))
    assert "web:1  deleted" in shop.ok("start", "rook.toml")
    assert [(row["name"], row["index"]) for row in shop.rows()] == [("web", 0), ("worker", 0)]


def test_selectors_stop_restart_delete(shop):
    before = {row["id"]: row["pid"] for row in shop.rows()}
    shop.ok("stop", "web:1")
    assert [row["state"] for row in shop.rows()] == ["running", "stopped", "running"]
    shop.ok("restart", "shop", "--wait", "started")
    after = {row["id"]: row["pid"] for row in shop.rows()}
    assert all(after[number] not in (None, before[number]) for number in before)
    shop.ok("stop", "2")
    shop.ok("start", "worker", "--wait", "started")
    assert [row["state"] for row in shop.rows()] == ["running"] * 3
    shop.ok("delete", "/^wor/")
    assert [row["name"] for row in shop.rows()] == ["web", "web"]
    shop.ok("delete", "all")
    assert shop.json("list") == []


def test_show(shop):
    text = shop.ok("show", "web:1", "worker")
    assert "web:1" in text
    assert "GREETING=good morning" in text
    (detail,) = shop.json("show", "worker")
    assert (detail["desired"], detail["generation"], detail["row"]["id"]) == ("running", 1, 2)
    assert detail["tree"][0]["pid"] == detail["row"]["pid"]


def test_cpu_and_memory_come_with_the_first_samples(rook):
    rook.start("idle.py", "idle")
    row = wait_until(lambda: (row := rook.row("idle"))["cpu"] is not None and row, DEADLINE, "two samples")
    assert row["memory"] > 1_000_000
    assert row["cpu"] >= 0.0


def test_logs(shop):
    wait_until(lambda: shop.log("worker") and shop.log("web") and shop.log("web", index=1), DEADLINE, "all output")
    assert shop.ok("logs", "worker", "-n", "1") == "good morning\n"
    assert sorted(shop.ok("logs").splitlines()) == ["web:0    | idle", "web:1    | idle", "worker:0 | good morning"]


def test_following_logs_ends_with_130(rook):
    rook.start("count_lines.py", "counter", "0.02")
    rook.start("idle.sh", "idle")
    wait_until(lambda: rook.log("counter") and rook.log("idle", "err"), DEADLINE, "some lines")
    with rook.popen("logs", "-f", "-n", "1", "counter", "idle") as following:
        first = {re.split("[|!]", following.stdout.readline())[0].strip() for _ in range(3)}
        numbers = [int(following.stdout.readline().split("|")[1]) for _ in range(20)]
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=DEADLINE)
    assert following.returncode == 130
    assert first == {"counter:0", "idle:0"}
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_ping(rook):
    assert rook("ping").code == 4
    assert rook.processes() == {}  # ping never starts one
    rook.start("idle.py", "idle")
    ping = rook.json("ping")
    assert (ping["home"], ping["apps"], ping["epoch"]) == (rook.home, 1, 1)
    assert {ping["pid"], ping["keeper_pid"], ping["collector_pid"]} < set(rook.processes())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list"], 0),
        (["list", "nobody"], 3),
        (["stop", "nobody"], 3),
        (["stop"], 2),
        (["start", "no-such-thing.py"], 2),
        (["start", "true | false"], 2),
        (["frobnicate"], 2),
        (["kill"], 4),
        (["logs"], 0),
        (["delete", "all"], 3),
    ],
)
def test_exit_codes_without_a_manager(rook, words, code):
    ran = rook(*words)
    assert ran.code == code, ran
    assert rook.processes() == {}


def test_exit_codes(rook):
    rook.start("idle.py", "idle")
    for words, code in (
        (["list", "idle"], 0),
        (["list", "nobody"], 3),
        (["restart", "nobody"], 3),
        (["show", "idel"], 3),
        (["stop", "/[/"], 2),
        (["restart", "idle", "--timeout", "100ms"], 5),
        (["start", "idle"], 0),
        (["stop", "idle"], 0),
    ):
        ran = rook(*words)
        assert ran.code == code, (words, ran)


def test_a_wait_that_expires_lets_the_work_go_on(rook):
    rook.start("ignores_term.py", "deaf", options=["--graceful-timeout", "700ms"])
    wait_until(lambda: rook.log("deaf"), DEADLINE, "the program")
    ran = rook("stop", "deaf", "--timeout", "100ms")
    assert ran.code == 5
    assert "deaf:0  waiting" in ran.out
    assert "still stopping" in ran.out
    rook.wait_for("deaf", state="stopped")


def test_list_imports_next_to_nothing(rook, tmp_path):
    text = "".join(f'[apps.a{n}]\ncommand = ["/bin/sleep", "1000"]\n' for n in range(10))
    (tmp_path / "rook.toml").write_text(text)
    rook.ok("start", "rook.toml", "--wait", "started")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", os.path.join(os.path.dirname(sys.executable), "rook"), "list"],
        env=rook.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert done.stdout.count("running") == 10
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "rookery.control.client" in imported
    assert imported & NOT_ON_THE_HOT_PATH == set()


def test_names_are_checked_also_where_no_command_line_is(rook):
    rook.start("idle.py", "idle")
    ran = rook("start", rook.programs / "idle.py", "--name", "../../etc/x")
    assert ran.code == 2
    assert [row["name"] for row in rook.rows()] == ["idle"]
    rook.start("idle.py", "a.b-c_D9")
    wait_until(lambda: rook.log("a.b-c_D9"), DEADLINE, "its output")
