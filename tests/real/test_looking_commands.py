"""The commands that look: init, check, diff, tree, show, doctor, completion, against a real manager."""

from __future__ import annotations

import os
import subprocess

import pytest

from capabilities import DEADLINE, needs_linux, needs_root
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = pytest.mark.real

FILE = """
[defaults]
min_uptime = "0s"
[apps.web]
command = ["/bin/sleep", "1000"]
env = { API_TOKEN = "one", LEVEL = "info" }
instances = 2
[apps.worker]
command = ["/bin/sleep", "1000"]
"""


def write(folder, text):
    (folder / "rook.toml").write_text(text)


def test_from_nothing_to_running(rook, tmp_path):
    (tmp_path / "app.py").write_text("import signal\nprint('here', flush=True)\nsignal.pause()\n")
    assert rook.ok("init") == "wrote rook.toml\n"
    assert "app: 1 instance of " in rook.ok("check")
    assert rook.ok("diff").startswith("+ app: new, 1 instance of ")
    assert rook.processes() == {}  # none of them starts a manager
    rook.ok("start", "--wait", "started")
    assert rook.ok("diff", "--exit-code") == "= app: unchanged\n"
    rook.ok("kill")
    assert rook("diff", "--exit-code").out == "~ app: as it is described, but 1 instance of 1 would be started\n"


def test_diff_says_what_start_then_does(rook, tmp_path):
    write(tmp_path, FILE)
    rook.ok("start", "rook.toml")
    before = {(row["name"], row["index"]): row["pid"] for row in rook.rows()}
    changed = (
        FILE.replace('"one"', '"two"').replace("instances = 2", "instances = 3").replace("[apps.worker]", "[apps.job]")
    )
    write(tmp_path, changed)
    ran = rook("diff", "--exit-code")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "~ web: changed, 2 instances restarted",
        "    env.API_TOKEN: *** -> *** (differs)",
        "    instances: 2 -> 3",
        "+ job: new, 1 instance of /bin/sleep 1000",
        "- worker: not in the file any more; it goes on until: rook delete worker",
    ]
    assert "one" not in ran.out + ran.err
    kinds = {one["name"]: one["kind"] for one in rook.json("diff")}
    assert kinds == {"web": "changed", "job": "new", "worker": "left"}
    assert {(row["name"], row["index"]): row["pid"] for row in rook.rows()} == before  # it only looks

    rook.ok("start", "rook.toml")
    after = {(row["name"], row["index"]): row["pid"] for row in rook.rows()}
    assert set(after) == {("web", 0), ("web", 1), ("web", 2), ("job", 0), ("worker", 0)}
    assert after["worker", 0] == before["worker", 0]
    assert after["web", 0] != before["web", 0]
    assert rook("diff", "--exit-code").code == 0
    rook.ok("stop", "web:1")
    assert "~ web: as it is described, but 1 instance of 3 would be started" in rook.ok("diff")


def test_every_key_that_is_changed_is_seen_and_gone_after_the_start(rook, tmp_path):
    write(tmp_path, FILE)
    rook.ok("start", "rook.toml")
    write(
        tmp_path,
        FILE.replace("[apps.worker]", '[apps.worker]\ngraceful_timeout = "3s"\nlogs = { keep = 2 }\nmax_restarts = 4'),
    )
    assert rook.ok("diff", "--only", "worker").splitlines() == [
        "~ worker: changed, 1 instance restarted",
        "    max_restarts.count: none -> 4",
        "    max_restarts.window: none -> 1m",
        "    graceful_timeout: 10s -> 3s",
        "    logs.keep: 7 -> 2",
    ]
    rook.ok("start", "rook.toml", "--only", "worker")
    assert rook("diff", "--exit-code").code == 0


def test_check_knows_the_users_of_this_machine(rook, tmp_path):
    write(
        tmp_path,
        "[apps.a]\ncommand = '/bin/true'\nuser = 'nobdy'\n[apps.b]\ncommand = '/bin/true'\ngroup = 'no such'\n",
    )
    ran = rook("check")
    assert ran.code == 2
    assert "rook.toml:3: apps.a.user: there is no user 'nobdy'\n  hint: did you mean nobody?" in ran.out
    assert "rook.toml:6: apps.b.group: there is no group 'no such'" in ran.out
    assert rook("start", "rook.toml").code == 2
    assert rook.processes() == {}


TREE = ["--", "/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo started; wait"]


@needs_linux
def test_tree(rook):
    rook.ok("start", "--name", "family", *TREE)
    wait_until(lambda: rook.log("family"), DEADLINE, "its children")
    head, first, *children = rook.ok("tree", "family").splitlines()
    assert head.startswith("family:0  running, 3 processes, memory ")
    assert first.split()[0] == str(rook.row("family")["pid"])
    assert [line.split()[3:] for line in children] == [["├─", "sleep", "1000"], ["└─", "sleep", "1000"]]
    (found,) = rook.json("tree", "family")
    assert [one["ppid"] for one in found["tree"][1:]] == [found["pid"]] * 2
    assert all(one["cpu"] is not None for one in found["tree"])
    rook.ok("stop", "family")
    assert rook.ok("tree") == "family:0  stopped\n"
    assert rook("tree", "nobody").code == 3


def test_show_tells_how_it_ended(rook):
    words = [
        "--name",
        "bad",
        "--wait",
        "none",
        "--backoff-base",
        "1h",
        "--backoff-cap",
        "1h",
        "--limits-open-files",
        "64",
    ]
    rook.ok("start", *words, "--", "/bin/sh", "-c", "echo out; echo no such table >&2; exit 3")
    wait_until(lambda: rook.row("bad")["state"] == "backoff", DEADLINE, "the wait after its crashes")
    text = rook.ok("show", "bad", "-n", "1")
    assert "● bad:0 - backoff, starts again in " in text
    assert ": exited with code 3\n" in text
    assert "always restarted, waiting 1h to 1h in a crash loop" in text
    assert "limits    open files 64" in text
    last = text[text.index("last exit") :]
    assert "exited with code 3 after " in last
    assert "no such table" in last
    assert f"{rook.home}/logs/bad-0.err.log  (" in text


@needs_linux
def test_doctor_finds_what_is_wrong(rook):
    rook.start("idle.py", "held", options=["--set-env", "PYTHONUNBUFFERED="])
    rook.start("idle.py", "fine")
    ran = rook("doctor")
    assert "held:0: Python without PYTHONUNBUFFERED" in ran.out
    assert "fine:0" not in ran.out
    found = {one["rule"]: one for one in rook.json("doctor")}
    assert found["manager"]["level"] == "ok"
    assert found["orphans"]["level"] == "ok"
    assert found["open-files"]["level"] == "ok"

    environ = {**os.environ, "ROOKERY_UNIT": f"{rook.scope}:99:1"}
    with subprocess.Popen(["/bin/sleep", "1000"], env=environ) as stray:
        try:
            wait_until(lambda: kernel.environ_value(stray.pid, "ROOKERY_UNIT"), DEADLINE, "its environment")

            def orphans():
                one = next(one for one in rook.json("doctor") if one["rule"] == "orphans")
                return one if one["level"] == "warning" else None

            # Only what has lived for two seconds counts: a younger one may belong to a start that is under way.
            told = wait_until(orphans, DEADLINE, "the process that nobody owns")
            assert f"{stray.pid} (/bin/sleep 1000)" in told["what"]
        finally:
            stray.kill()


@needs_linux
def test_doctor_names_missing_features_and_too_many_workers(rook):
    rook.environ["ROOKERY_WITHOUT"] = "pidfd"
    most = os.cpu_count() + 1
    rook.ok("start", "-i", most, "--name", "many", "--wait", "started", "--", "/bin/sleep", "1000")
    out = rook("doctor").out
    assert "this kernel has no pidfd" in out
    assert f"many has {most} instances, and there are " in out


def test_doctor_says_when_the_home_is_no_place_to_write(rook, tmp_path):
    (tmp_path / "file").write_text("")
    rook.environ["ROOKERY_HOME"] = f"{tmp_path}/file/home"
    ran = rook("doctor")
    assert ran.code == 1
    assert f"error    logs        {tmp_path}/file/home cannot be written to" in ran.out
    assert f"{tmp_path}/file is no folder" in ran.out


@needs_root
def test_doctor_says_when_the_home_belongs_to_somebody_else(rook, tmp_path):
    os.mkdir(rook.home, 0o755)
    os.chown(rook.home, 65534, 65534)
    ran = rook("doctor")
    os.chown(rook.home, 0, 0)
    assert ran.code == 1
    assert "it belongs to uid 65534" in ran.out


def test_names_for_the_shell_with_and_without_a_manager(rook, tmp_path):
    write(tmp_path, FILE)
    rook.ok("start", "rook.toml")
    names = ["web", "worker", "web:0", "web:1", "default", "all"]
    assert rook.ok("completion", "--names").split() == names
    rook.ok("kill")
    assert rook.ok("completion", "--names").split() == names
    assert rook.processes() == {}


def test_following_events_ends_when_nobody_reads_them_any_more(rook):
    """Though no other event comes by which it would notice."""
    rook.start("idle.sh", "web")
    with rook.popen("events", "-f", "--type", "start") as following:
        assert "started with pid" in following.stdout.readline()
        following.stdout.close()
        assert following.wait(DEADLINE) == 1
