from __future__ import annotations

import fcntl
import json
import os
import threading

import pytest

from rookery._os import kernel
from rookery.control import launch, places
from rookery.control.client import Client
from rookery.errors import OperationFailed, RookeryError

FAKE = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); from fake_keeper import main; main()"


@pytest.fixture
def keeper(monkeypatch, home):
    """Our keeper instead of the real one; ended, and reaped, after the test."""
    monkeypatch.setattr(launch, "_PROGRAM", FAKE)
    yield
    if Client(home).is_listening():
        _, facts = Client(home).request("POST", "/v1/kill")
        assert launch.wait_until_gone(home, timeout=10)
        os.waitpid(facts["pid"], 0)


def save_state(home, **state):
    os.makedirs(home, exist_ok=True)
    with open(places.state_file(home), "w") as file:
        json.dump(state, file)


def test_a_manager_is_started_and_found_again(keeper, home, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("ROOKERY_UNIT", "a:b:1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    _, first = launch.ensure_manager(home).request("GET", "/v1/ping")
    _, second = launch.ensure_manager(home).request("GET", "/v1/ping")
    assert first["pid"] == second["pid"] == first["session"]
    assert first["cwd"] == "/"
    assert {"NOTIFY_SOCKET", "ROOKERY_UNIT", "PYTHONPATH", "ROOKERY_HOME"}.isdisjoint(first["environ"])
    assert {"LC_ALL", "PATH"} <= set(first["environ"])
    assert os.stat(home).st_mode & 0o777 == 0o700
    assert os.stat(places.manager_log(home)).st_mode & 0o777 == 0o600


def test_starters_at_once_get_one_manager(keeper, home):
    found, ready = [], threading.Barrier(4)

    def start():
        ready.wait(10)
        found.append(launch.ensure_manager(home).request("GET", "/v1/ping")[1]["pid"])

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_keeper_on_its_way_out_is_outlasted(keeper, home, monkeypatch):
    places.ensure_home(home)
    lock = os.open(places.lock_file(home), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    started = []
    real = launch._start_keeper

    def start(where):
        started.append(where)
        if len(started) == 2:
            os.close(lock)  # the old one has gone
        return real(where)

    monkeypatch.setattr(launch, "_start_keeper", start)
    launch.ensure_manager(home)
    assert len(started) == 2


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; print('no room', file=sys.stderr); sys.exit(3)", "its keeper ended with 3\n  no room"),
        ("import os; os.kill(os.getpid(), 9)", "its keeper ended with -9"),
        ("import no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_a_keeper_that_fails_is_told_with_what_it_said(monkeypatch, home, program, why):
    monkeypatch.setattr(launch, "_PROGRAM", program)
    places.ensure_home(home)
    with open(places.manager_log(home), "w") as log:
        log.write("from long ago\n")
    with pytest.raises(OperationFailed, match="did not start") as caught:
        launch.ensure_manager(home)
    assert why in caught.value.why
    assert "long ago" not in caught.value.why
    assert "manager.log" in caught.value.hint


def test_a_keeper_that_never_answers(monkeypatch, home):
    monkeypatch.setattr(launch, "_PROGRAM", "import sys; sys.exit(75)")
    with pytest.raises(OperationFailed, match="did not start") as caught:
        launch.ensure_manager(home, timeout=0.5)
    assert "within 0.5 s" in caught.value.why
    for pid in kernel.children(os.getpid()):  # the last one was started, and let go of, when the time was over
        os.waitpid(pid, 0)


def test_a_home_that_others_may_write_to_gets_no_manager(home):
    os.mkdir(home)
    os.chmod(home, 0o777)
    with pytest.raises(RookeryError, match="open to others"):
        launch.ensure_manager(home)
    assert os.listdir(home) == []


NOW = "this boot"
RUNNING = {"name": "web", "desired": "running", "held": False}


@pytest.mark.parametrize(
    ("state", "should", "has"),
    [
        ({"version": 1, "boot_id": NOW, "apps": [RUNNING]}, True, True),
        ({"version": 1, "boot_id": NOW, "apps": [{"name": "a", "desired": "stopped"}, RUNNING]}, True, True),
        ({"version": 1, "boot_id": NOW, "apps": [{"name": "a", "desired": "stopped"}]}, False, True),
        ({"version": 1, "boot_id": NOW, "apps": [{**RUNNING, "held": True}]}, False, True),
        ({"version": 1, "boot_id": "another", "apps": [RUNNING]}, False, True),
        ({"version": 1, "apps": [RUNNING]}, False, True),
        ({"version": 1, "boot_id": NOW, "apps": []}, False, False),
        ({"version": 1, "boot_id": NOW, "apps": {"web": RUNNING}}, False, False),
        ({"version": 1, "boot_id": NOW, "apps": ["web", None]}, False, False),
        ({"version": 1, "boot_id": NOW}, False, False),
    ],
)
def test_what_the_state_says(monkeypatch, home, state, should, has):
    monkeypatch.setattr(kernel, "boot_id", lambda: NOW)
    save_state(home, **state)
    assert launch.should_run(home) is should
    assert launch.has_apps(home) is has


@pytest.mark.parametrize("text", ["", "[]", "nothing", '{"boot_id": ', "[" * 100_000, "\xff"])
def test_a_broken_state_is_no_state(home, text):
    os.mkdir(home)
    with open(places.state_file(home), "w", encoding="latin-1") as file:
        file.write(text)
    assert launch.should_run(home) is False
    assert launch.has_apps(home) is False


def test_no_state(home):
    assert launch.should_run(home) is False
    assert launch.reading_client(home) is None
    assert not os.path.exists(home)


def test_a_kernel_without_boot_id_proves_nothing(monkeypatch, home):
    monkeypatch.setattr(kernel, "boot_id", lambda: "")
    save_state(home, boot_id="", apps=[RUNNING])
    assert launch.should_run(home) is False


def test_looking_starts_a_manager_only_for_apps_that_should_run(keeper, home):
    save_state(home, boot_id=kernel.boot_id(), apps=[RUNNING])
    os.chmod(home, 0o700)
    client = launch.reading_client(home)
    assert client is not None
    assert launch.reading_client(home).request("GET", "/v1/ping")[0] == 200


def test_waiting_for_the_end(home):
    assert launch.wait_until_gone(home, timeout=0)
    places.ensure_home(home)
    with open(places.lock_file(home), "w") as lock:
        assert launch.wait_until_gone(home, timeout=0)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not launch.wait_until_gone(home, timeout=0.03)
