from __future__ import annotations

import fcntl
import json
import os
import socket

import pytest
from fake_manager import ended, outcome, problem

from rookery.control import places

STOPPED = {"outcomes": [outcome(did="stopped", state="stopped", pid=None)], "expired": False}
FAILED = {
    "outcomes": [
        outcome(index=1),
        outcome(
            ok=False,
            did="failed",
            state="fatal",
            pid=None,
            reason="exited with code 3 after 0.1 s",
            exit=ended(stderr=["Traceback", "\x1b[31mKeyError\x1b[0m: 'x'"]),
            log="/home/logs/web-0.err.log",
        ),
    ],
    "expired": True,
}


@pytest.mark.parametrize(
    ("argv", "path", "body"),
    [
        (["stop", "web", "3"], "/v1/stop", {"selectors": ["web", "3"], "wait": "settled", "timeout": 30.0}),
        (["restart", "all", "--wait", "none"], "/v1/restart", {"selectors": ["all"], "wait": "none", "timeout": 30.0}),
        (["delete", "--timeout", "1m", "web"], "/v1/delete", {"selectors": ["web"], "wait": "settled", "timeout": 60}),
        (["rm", "/a.*/"], "/v1/delete", {"selectors": ["/a.*/"], "wait": "settled", "timeout": 30.0}),
    ],
)
def test_what_is_asked(rook, manager, argv, path, body):
    manager.answers["POST", path] = 200, STOPPED
    assert rook(*argv) == (0, "web:0  stopped\n", "")
    assert (manager.asked[0].path, manager.asked[0].body) == (path, body)


def test_a_failure_is_told_with_its_last_words(rook, manager):
    manager.answers["POST", "/v1/restart"] = 200, FAILED
    ran = rook("restart", "web")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "web:1  started  pid 1234",
        "web:0  failed: exited with code 3 after 0.1 s",
        "    Traceback",
        "    KeyError: 'x'",
        "  log: /home/logs/web-0.err.log",
    ]


def test_a_wait_that_expires(rook, manager):
    manager.answers["POST", "/v1/stop"] = 200, {**STOPPED, "expired": True}
    ran = rook("stop", "web")
    assert ran.code == 5
    assert "the work goes on" in ran.err


@pytest.mark.parametrize(("result", "code"), [(STOPPED, 0), (FAILED, 1)])
def test_json(rook, manager, result, code):
    manager.answers["POST", "/v1/stop"] = 200, result
    ran = rook("stop", "web", "--json")
    assert (ran.code, json.loads(ran.out)) == (code, result)


@pytest.mark.parametrize(
    ("exit_code", "code"), [(1, 1), (2, 2), (3, 3), (5, 5)], ids=["failed", "usage", "nothing", "expired"]
)
def test_problems_give_their_exit_code(rook, manager, exit_code, code):
    manager.answers["POST", "/v1/stop"] = problem(400, "so not", exit_code=exit_code, hint="try this")
    assert rook("stop", "web") == (code, "", "rook: so not\nhint: try this\n")


@pytest.mark.parametrize("verb", ["stop", "restart", "delete", "show"])
def test_selectors_are_needed(rook, verb):
    ran = rook(verb)
    assert ran.code == 2
    assert f"rook {verb} all" in ran.err


@pytest.mark.parametrize("verb", ["stop", "restart", "delete"])
def test_no_manager_is_started_to_find_nothing(rook, home, verb):
    ran = rook(verb, "web")
    assert (ran.code, ran.out) == (3, "")
    assert "there are no apps" in ran.err
    assert not os.path.exists(home)


@pytest.mark.parametrize(
    "argv", [["stop", "web", "--wait", "long"], ["stop", "web", "--timeout", "soon"], ["stop", "web", "--timeout"]]
)
def test_wrong_options(rook, argv):
    assert rook(*argv).code == 2


def test_ping(rook, manager):
    ran = rook("ping")
    assert ran == (0, f"manager 7 of {manager.home} runs for 1m5s: 2 apps, version 0.1\n", "")
    assert json.loads(rook("ping", "--json").out)["pid"] == 7
    assert rook("ping", "x").code == 2


@pytest.mark.parametrize("command", ["ping", "kill"])
def test_no_manager(rook, home, command):
    ran = rook(command)
    assert (ran.code, ran.out) == (4, "")
    assert f"no manager runs for {home}" in ran.err
    assert not os.path.exists(home)


def test_kill(rook, manager):
    manager.answers["POST", "/v1/kill"] = 200, STOPPED
    assert rook("kill") == (0, "web:0  stopped\n", "the manager has stopped\n")


@pytest.mark.parametrize(
    ("wire", "code", "text"),
    [
        ([], 0, "the manager has stopped"),  # gone before its answer was
        ([b"HTTP/1.1 500 X\r\n\r\n"], 1, "rook: the manager answered with status 500"),
    ],
)
def test_kill_without_an_answer(rook, manager, wire, code, text):
    manager.raw = [wire]
    ran = rook("kill")
    assert (ran.code, ran.out, ran.err.splitlines()[0]) == (code, "", text)


def test_kill_that_takes_too_long(rook, home):
    os.makedirs(os.path.join(home, "run"))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(places.control_socket(home))
        silent.listen(4)
        ran = rook("kill", "--timeout", "50ms")
    assert ran.code == 5
    assert "still there after 0.05 s" in ran.err


def test_kill_waits_for_the_lock(rook, manager):
    manager.answers["POST", "/v1/kill"] = 200, STOPPED
    with open(os.path.join(manager.home, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = rook("kill", "--timeout", "50ms")
        assert ran.code == 5
        assert "still there after 0.05 s" in ran.err
