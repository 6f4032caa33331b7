"""scale, reset, signal, env, wait, flush, events: as a person uses them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess

import pytest

from capabilities import DEADLINE
from rookery._os import kernel
from rookery.testing import wait_until

pytestmark = pytest.mark.real

FILE = """
[defaults]
min_uptime = "100ms"
namespace = "shop"
[apps.web]
command = ["/bin/sleep", "1000"]
instances = 2
env = { API_TOKEN = "t0p", GREETING = "hello" }
[apps.worker]
command = ["/bin/sleep", "1000"]
"""


def open_shop(rook):
    (rook.folder / "rook.toml").write_text(FILE)
    rook.ok("start", "rook.toml", "--wait", "started")
    return rook


@pytest.fixture
def shop(rook):
    return open_shop(rook)


@pytest.fixture(scope="module")
def lasting_shop(lasting_rook):
    return open_shop(lasting_rook)


# -- scale ----------------------------------------------------------------------------------------------------------


def test_scale(shop, tmp_path):
    before = {row["index"]: row["pid"] for row in shop.rows("web")}
    out = shop.ok("scale", "web", "+2", "--wait", "started")
    assert out.splitlines()[0].startswith("web:2  started  pid ")
    assert [row["index"] for row in shop.rows("web")] == [0, 1, 2, 3]
    assert "web:3  deleted" in shop.ok("scale", "web", "-1")
    assert "web:2  deleted" in shop.ok("scale", "web", "2")
    assert {row["index"]: row["pid"] for row in shop.rows("web")} == before
    assert shop.ok("scale", "web", "2") == ""
    result = shop.json("scale", "web", "3")
    assert [(one["index"], one["did"]) for one in result["outcomes"]] == [(2, "started")]
    old = shop.kill_manager()  # it is remembered
    shop.next_manager(old)
    assert [row["index"] for row in shop.rows("web")] == [0, 1, 2]
    shop.ok("restart", "web", "--wait", "started")
    assert len(shop.rows("web")) == 3
    assert "web:2  deleted" in shop.ok("start", "rook.toml")  # described anew


def test_scale_waits_as_it_is_told(shop):
    assert shop.ok("scale", "web", "4", "--wait", "none") == ""
    wait_until(lambda: len(shop.rows("web")) == 4, DEADLINE, "four of them")
    assert shop.ok("scale", "web", "max", "--timeout", "20s") or True
    shop.ok("scale", "web", "half")
    assert len(shop.rows("web")) == max(1, len(os.sched_getaffinity(0)) // 2)


# -- reset ----------------------------------------------------------------------------------------------------------


def test_reset(shop):
    shop.ok("restart", "web", "--wait", "started")
    assert [row["restarts"] for row in shop.rows("web")] == [1, 1]
    assert shop.ok("reset", "web:1") == "web:1  reset\n"
    assert [row["restarts"] for row in shop.rows("web")] == [1, 0]
    assert [row["restarts"] for row in shop.json("reset", "all")] == [0, 0, 0]


def test_a_start_after_a_stop_is_no_restart(shop):
    shop.ok("stop", "worker")
    shop.ok("restart", "worker", "--wait", "started")
    shop.ok("stop", "worker")
    shop.ok("start", "worker", "--wait", "started")
    assert shop.row("worker")["restarts"] == 0


# -- signal ---------------------------------------------------------------------------------------------------------

TRAP = """
trap 'echo got it' USR1
sh -c 'trap "echo child too" USR1; echo up; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
"""


def test_signal(rook):
    rook.ok("start", "--shell", TRAP, "--name", "trap", "--wait", "started")
    wait_until(lambda: "up" in rook.log("trap"), DEADLINE, "both traps")
    pid = rook.row("trap")["pid"]
    assert rook.ok("signal", "USR1", "trap") == f"trap:0  sent SIGUSR1 to pid {pid}\n"
    wait_until(lambda: "got it" in rook.log("trap"), DEADLINE, "the leader's word")
    assert "child too" not in rook.log("trap")
    assert "of its processes" in rook.ok("signal", "sigusr1", "trap", "--tree")
    wait_until(lambda: "child too" in rook.log("trap"), DEADLINE, "the child's word")
    (sent,) = rook.json("signal", str(int(signal.SIGCONT)), "all")
    assert (sent["signal"], sent["pid"], sent["processes"]) == ("SIGCONT", pid, 1)


def test_a_signal_that_ends_it_is_an_exit_as_any_other(shop):
    before = shop.row("worker")["pid"]
    shop.ok("signal", "KILL", "worker")
    row = wait_until(
        lambda: (row := shop.row("worker"))["pid"] not in (None, before) and row, DEADLINE, "the next copy"
    )
    assert row["exit"]["signal"] == "SIGKILL"


def test_no_signal_to_what_is_down(shop):
    shop.ok("stop", "web:1")
    ran = shop("signal", "HUP", "web")
    assert ran.code == 1
    assert "web:1 does not run" in ran.err
    assert shop.row("worker")["restarts"] == 0


# -- env ------------------------------------------------------------------------------------------------------------


def test_env(shop):
    lines = shop.ok("env", "web:1").splitlines()
    assert {"GREETING=hello", "API_TOKEN=***", "NODE_APP_INSTANCE=1", f"HOME={shop.folder}"} <= set(lines)
    assert not [line for line in lines if line.startswith("#")]  # the running one has the same
    assert "API_TOKEN=t0p" in shop.ok("env", "web:0", "--show-secrets")
    both = shop.ok("env", "web")
    assert "# web:0\n" in both
    assert "# web:1\n" in both
    (one,) = shop.json("env", "worker", "--show-secrets")
    pid = shop.row("worker")["pid"]
    assert one["running"] == kernel.environment(pid)
    unit = one["next"].pop("ROOKERY_UNIT")
    assert one["running"].pop("ROOKERY_UNIT") != unit  # another copy
    assert one["next"] == one["running"]


def test_env_tells_where_the_running_one_differs(shop, tmp_path):
    shop.environ["GREETING"] = "ignored"
    shop.environ["LC_ALL"] = "C"
    shop.ok("start", "rook.toml", "--wait", "started")  # the description is the same, the environment is not
    assert "# not in the running process: LC_ALL" in shop.ok("env", "worker")
    shop.ok("restart", "worker", "--wait", "started")
    assert "#" not in shop.ok("env", "worker")
    shop.ok("stop", "worker")
    assert shop.json("env", "worker")[0]["running"] is None


def test_restart_with_the_environment_of_now(shop):
    shop.environ["TZ"] = "Europe/Vienna"
    shop.ok("restart", "worker", "--wait", "started")
    assert "TZ" not in kernel.environment(shop.row("worker")["pid"])
    shop.ok("restart", "worker", "--update-env", "--wait", "started")
    assert kernel.environment(shop.row("worker")["pid"])["TZ"] == "Europe/Vienna"
    shop.environ["ANYTHING"] = "1"
    shop.ok("restart", "worker", "--update-env", "--inherit-env", "--wait", "started")
    assert kernel.environment(shop.row("worker")["pid"])["ANYTHING"] == "1"
    shop.environ["TZ"] = "UTC"
    shop.ok("stop", "worker")
    shop.ok("start", "worker", "--update-env", "--wait", "started")
    environment = kernel.environment(shop.row("worker")["pid"])
    assert (environment["TZ"], "ANYTHING" in environment) == ("UTC", False)


# -- wait -----------------------------------------------------------------------------------------------------------


def test_wait(shop):
    assert shop.ok("wait", "all").count("settled") == 3
    assert shop("wait", "worker", "--for", "stopped", "--timeout", "100ms").code == 5
    with shop.popen("wait", "worker", "web:0", "--for", "stopped") as waiting:
        shop.ok("stop", "worker")
        assert waiting.poll() is None
        shop.ok("stop", "web:0")
        out, _ = waiting.communicate(timeout=DEADLINE)
    assert (waiting.returncode, out.count("stopped")) == (0, 2)
    assert shop.json("wait", "worker", "--for", "stopped")["expired"] is False


def test_wait_for_a_job(rook):
    rook.ok(
        "start",
        "--shell",
        "read line; exit 0",
        "--stdin",
        "pipe",
        "--restart",
        "never",
        "-n",
        "job",
        "--wait",
        "started",
    )
    with rook.popen("wait", "job", "--for", "exited") as waiting:
        old = rook.kill_manager()  # waiting goes on with the next one
        rook.next_manager(old)
        assert waiting.poll() is None
        rook.ok("send", "job", "go")
        out, _ = waiting.communicate(timeout=DEADLINE)
    assert (waiting.returncode, out) == (0, "job:0  exited  (exited with code 0; restart = never)\n")


def test_wait_for_what_becomes_fatal(rook):
    rook.ok(
        "start",
        "--shell",
        "read line; exit 3",
        "--stdin",
        "pipe",
        "--max-restarts",
        "0",
        "-n",
        "job",
        "--wait",
        "started",
    )
    with rook.popen("wait", "job", "--for", "exited") as waiting:
        rook.ok("send", "job", "go")
        out, _ = waiting.communicate(timeout=DEADLINE)
    assert waiting.returncode == 1
    assert "exited with code 3" in out


# -- flush ----------------------------------------------------------------------------------------------------------


def test_flush(rook):
    rook.start("says_lines.py", "talker", "before")
    rook.start("idle.py", "idle")
    wait_until(lambda: rook.log("idle") and rook.log("idle", "err") is not None, DEADLINE, "some output")
    assert "emptied" in rook.ok("flush", "idle")
    assert rook.log("idle") == []
    rook.ok("restart", "idle", "--wait", "started")
    wait_until(lambda: rook.log("idle") == ["idle"], DEADLINE, "what it says afterwards")
    assert rook.json("flush")["emptied"] >= 2
    assert rook.log("idle") == []


# -- events ---------------------------------------------------------------------------------------------------------


def test_events(shop):
    shop.ok("stop", "web:1")
    everything = shop.json("events")
    assert [event["seq"] for event in everything] == sorted(event["seq"] for event in everything)
    wanted = {"seq", "epoch", "time", "type", "unit", "name", "index", "reason"}
    assert wanted <= set(everything[0])
    exits = shop.json("events", "web", "--type", "exit")
    assert [(event["name"], event["index"], event["signal"]) for event in exits] == [("web", 1, "SIGTERM")]
    place = f"{exits[0]['epoch']}.{exits[0]['seq']}"
    later = shop.json("events", "--since", place)
    assert [event["after"] for event in later] == ["stopped"]
    text = shop.ok("events", "web:1", "-n", "2").splitlines()
    assert len(text) == 2
    assert text[0].endswith("web:1  exit  stopped: killed by SIGTERM")
    assert "state stopping -> stopped" in text[1]
    assert shop.ok("events", "-n", "0") == ""


def test_following_events_over_a_change_of_managers(shop):
    with following_events(shop, "worker", "-n", "1", "--type", "start", "--type", "adopted", "--json") as following:
        pid = shop.row("worker")["pid"]
        assert json.loads(following.stdout.readline())["pid"] == pid
        old = shop.kill_manager()
        shop.next_manager(old)
        adopted = json.loads(following.stdout.readline())
        assert (adopted["type"], adopted["pid"]) == ("adopted", pid)
        shop.ok("restart", "worker", "--wait", "started")
        assert json.loads(following.stdout.readline())["type"] == "start"
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=DEADLINE)
    assert following.returncode == 130


@contextlib.contextmanager
def following_events(rook, *words):
    """``rook events -f``; ended with the block, whatever happens in it."""
    with rook.popen("events", "-f", *words) as following:
        try:
            yield following
        finally:
            following.kill()


def test_a_follower_does_not_delay_an_upgrade_and_ends_with_the_manager(shop):
    with following_events(shop) as following:
        assert following.stdout.readline()
        shop.ok("upgrade")
        shop.ok("kill")
        out, err = following.communicate(timeout=DEADLINE)
    assert following.returncode == 4
    assert "no manager runs" in err
    assert "asked to make way" in out


# -- hints and files ------------------------------------------------------------------------------------------------


def test_a_job_that_ends_well_again_and_again(rook):
    ran = rook("start", "--shell", "exit 0", "--name", "job", "--restart-delay", "50ms")
    assert ran.code == 1
    assert "hint: job ended with 0 and is started again and again" in ran.err
    wait_until(lambda: rook.row("job")["exit"]["repeats"] >= 3, DEADLINE, "three of its ends")
    for command in (("list",), ("show", "job")):
        ran = rook(*command)
        assert "if it is meant to end: --restart on-failure" in ran.err, command
        assert "on-failure" not in ran.out
    old = rook.kill_manager()
    rook.next_manager(old)
    assert rook.row("job")["exit"]["repeats"] >= 3
    rook.ok("stop", "job")
    assert rook("list").err == ""


def test_a_failed_start_says_whether_it_is_tried_again(rook):
    ran = rook("start", "--shell", "exit 3", "--name", "bad")
    assert (ran.code, "hint: bad is started again and again; to end that: rook stop bad" in ran.err) == (1, True)
    ran = rook("start", "--shell", "exit 3", "--name", "once", "--restart", "never")
    assert ran.code == 1
    assert "again" not in ran.err


def test_what_is_no_longer_in_the_file(shop, tmp_path):
    text = FILE.partition("[apps.worker]")[0]
    (tmp_path / "rook.toml").write_text(text)
    assert shop("start", "rook.toml", "--only", "web").err == ""  # a part was meant
    ran = shop("start", "rook.toml")
    assert ran.code == 0
    assert "still there: worker" in ran.err
    assert "hint: rook delete worker, or: rook start " in ran.err
    assert shop.row("worker")["state"] == "running"
    assert "worker:0  deleted" in shop.ok("start", "rook.toml", "--prune")
    assert shop.rows("worker") == []
    assert shop("start", "rook.toml").err == ""
    assert shop.json("start", "rook.toml")["left"] == []


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["scale"], 2, "needs an app and a number"),
        (["scale", "web"], 2, "needs an app and a number"),
        (["scale", "web", "many"], 2, "'many' is no number"),
        (["scale", "web", "0"], 2, "rook stop NAME"),
        (["scale", "web", "-2"], 2, "it has 2"),
        (["scale", "wbe", "2"], 3, "did you mean web?"),
        (["scale", "web:0", "2"], 2, "no app's name"),
        (["scale", "web", "2", "3"], 2, "takes no word"),
        (["reset"], 2, "rook reset all"),
        (["reset", "nobody"], 3, "no app matches"),
        (["signal"], 2, "needs a signal and an app"),
        (["signal", "HUP"], 2, "needs a signal and an app"),
        (["signal", "HPU", "web"], 2, "did you mean SIGHUP?"),
        (["signal", "0", "web"], 2, "there is no signal 0"),
        (["signal", "HUP", "nobody"], 3, "no app matches"),
        (["env"], 2, "rook env all"),
        (["env", "nobody"], 3, "no app matches"),
        (["wait"], 2, "rook wait all"),
        (["wait", "nobody"], 3, "no app matches"),
        (["wait", "web", "--for", "ever"], 2, "invalid choice"),
        (["wait", "web", "--timeout", "soon"], 2, "not a duration"),
        (["flush", "nobody"], 3, "no app matches"),
        (["events", "nobody"], 3, "no app matches"),
        (["events", "--since", "yesterday"], 2, "no place among events"),
        (["events", "-n", "some"], 2, "no number"),
        (["events", "-f", "nobody"], 3, "no app matches"),
        (["restart", "web", "--inherit-env"], 2, "goes with --update-env"),
        (["stop", "web", "--update-env"], 2, "has no option --update-env"),
        (["start", "rook.toml", "--prune", "--only", "web"], 2, "a whole config file"),
        (["start", "/bin/true", "--prune"], 2, "a whole config file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_mistakes(lasting_shop, words, code, said):
    before = lasting_shop.rows()
    ran = lasting_shop(*words)
    assert ran.code == code, ran
    assert said in ran.err
    assert ran.out == ""
    assert unmoved(lasting_shop.rows()) == unmoved(before)


def unmoved(rows):
    return [(row["name"], row["index"], row["pid"], row["restarts"], row["state"]) for row in rows]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["scale", "web", "2"], 3),
        (["reset", "all"], 3),
        (["signal", "HUP", "web"], 3),
        (["env", "web"], 3),
        (["wait", "web"], 3),
        (["flush"], 3),
        (["events"], 0),
        (["events", "web"], 3),
        (["events", "-f"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_without_a_manager(rook, words, code):
    ran = rook(*words)
    assert ran.code == code, ran
    assert rook.processes() == {}


def test_the_simple_routes_with_curl(shop):
    """As somebody does it who has no rook at hand."""
    socket = os.path.join(shop.home, "run", "control.sock")

    def curl(*args):
        command = ["curl", "-sS", "-w", "\n%{http_code}", "--unix-socket", socket, *args]
        body, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
        return int(status), json.loads(body)

    assert curl("http://x/healthz") == (200, {"status": "ok"})
    assert [row["name"] for row in curl("http://x/status")[1]] == ["web", "web", "worker"]
    (row,) = curl("http://x/status/worker")[1]
    status, answer = curl("http://x/restart", "-d", '{"name": "worker"}')
    assert (status, answer["pid"]) == (200, shop.row("worker")["pid"])
    assert answer["pid"] != row["pid"]
    assert curl("http://x/restart", "-d", '{"name": "nobody"}')[0] == 404
    assert curl("http://x/status/nobody")[0] == 404
    assert curl("http://x/nowhere")[0] == 404
    assert curl("http://x/v1/env?select=web:0&show_secrets=1")[1][0]["next"]["API_TOKEN"] == "t0p"
    status, problem = curl("http://x/restart")
    assert (status, problem["title"]) == (405, "Method Not Allowed")
