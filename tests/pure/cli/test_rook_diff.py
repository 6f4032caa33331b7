from __future__ import annotations

import json
import os

import pytest
from fake_manager import problem, row

from rookery.cli.commands.diff import lines
from rookery.config.compare import Change, Difference
from rookery.control import places

FILE = """
[apps.web]
command = ["/bin/sleep", "1000"]
env = { API_TOKEN = "new", LEVEL = "2" }
graceful_timeout = "20s"
[apps.api]
command = ["/bin/sleep", "1000"]
instances = 2
[apps.job]
command = ["/bin/true"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rook.toml").write_text(FILE)
    return tmp_path


def app(folder, name, **changed):
    return {
        "name": name,
        "command": ["/bin/sleep", "1000"],
        "cwd": str(folder),
        "env": {},
        "origin": str(folder / "rook.toml"),
        **changed,
    }


@pytest.fixture
def running(manager, folder):
    web = app(folder, "web", env={"API_TOKEN": "***", "LEVEL": "1"})
    rows = [
        (row(0), web),
        (row(1, name="api"), app(folder, "api")),
        (row(2, name="old"), app(folder, "old")),
        (row(3, name="stranger"), app(folder, "stranger", origin="")),
    ]
    manager.answers["GET", "/v1/details"] = 200, [{"row": one, "app": spec} for one, spec in rows]
    secrets = {"API_TOKEN": "old", "LEVEL": "1", "PATH": "/bin"}
    manager.answers["GET", "/v1/env"] = 200, [{"id": 0, "name": "web", "index": 0, "next": secrets, "running": None}]
    return manager


def test_differences(rook, running):
    ran = rook("diff")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "~ web: changed, 1 instance restarted",
        "    env.API_TOKEN: *** -> *** (differs)",
        "    env.LEVEL: 1 -> 2",
        "    graceful_timeout: 10s -> 20s",
        "~ api: 1 instance more: 1 -> 2",
        "+ job: new, 1 instance of /bin/true",
        "- old: not in the file any more; it goes on until: rook delete old",
    ]
    assert rook("diff", "--exit-code").code == 1


def test_json_tells_no_secrets(rook, running):
    ran = rook("diff", "--json")
    found = {one["name"]: one for one in json.loads(ran.out)}
    assert {name: one["kind"] for name, one in found.items()} == {
        "web": "changed",
        "api": "scaled",
        "job": "new",
        "old": "left",
    }
    assert found["web"]["changes"][0] == {"key": "env.API_TOKEN", "old": "***", "new": "***"}
    assert found["api"]["instances"] == {"before": 1, "after": 2, "down": 0}


def test_only_some_apps(rook, running):
    assert [line.split(":")[0] for line in rook("diff", "--only", "job").out.splitlines()] == ["+ job"]


def test_a_manager_that_does_not_tell_secrets(rook, running):
    running.answers["GET", "/v1/env"] = problem(404, "no such path")
    ran = rook("diff", "--only", "web")
    assert "API_TOKEN: *** -> *** (differs)" in ran.out
    assert "does not tell secrets" in ran.err


def test_no_difference(rook, manager, folder):
    (folder / "rook.toml").write_text('[apps.web]\ncommand = ["/bin/sleep", "1000"]\n')
    manager.answers["GET", "/v1/details"] = 200, [{"row": row(0), "app": app(folder, "web")}]
    assert rook("diff", "--exit-code") == (0, "= web: unchanged\n", "")
    manager.answers["GET", "/v1/details"] = 200, [{"row": row(0, state="stopped"), "app": app(folder, "web")}]
    ran = rook("diff", "--exit-code")
    assert (ran.code, ran.out) == (1, "~ web: as it is described, but 1 instance of 1 would be started\n")


def test_without_a_manager_all_is_new(rook, home, folder):
    ran = rook("diff", "--only", "job")
    assert (ran.code, ran.out) == (0, "+ job: new, 1 instance of /bin/true\n")
    assert not os.path.exists(home)  # and none is started


def test_without_a_manager_what_was_saved_counts(rook, home, folder):
    os.makedirs(home, mode=0o700)
    state = {
        "apps": [{"name": "job", "spec": app(folder, "job", command=["/bin/true"]), "desired": "stopped"}],
        "instances": [{"app": "job", "index": 0}],
    }
    with open(places.state_file(home), "w") as file:
        json.dump(state, file)
    assert rook("diff", "--only", "job").out == "~ job: as it is described, but 1 instance of 1 would be started\n"


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["missing.toml"], 2), (["--only", "nobody"], 3), (["--env", "staging"], 2), (["--exit-codes"], 2)],
)
def test_wrong_usage(rook, folder, argv, code):
    assert rook("diff", *argv).code == code


def test_a_mistake_in_the_file(rook, folder):
    (folder / "rook.toml").write_text("[apps.web]\ncommand = ['/bin/true']\ninstance = 2\n")
    ran = rook("diff")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean instances?" in ran.err


def test_lines():
    one = Difference("web", "changed", (Change("user", None, "me"),), 3, 2, elsewhere="/old.toml")
    assert lines(one, None) == [
        "~ web: changed, 2 instances restarted",
        "    user: none -> me",
        "    instances: 3 -> 2",
        "    until now it came from /old.toml",
    ]
    assert lines(Difference("web", "scaled", before=3, after=1), None) == ["~ web: 2 instances less: 3 -> 1"]
    assert lines(Difference("web", "scaled", before=3, after=4, down=2), None) == [
        "~ web: 1 instance more: 3 -> 4; 2 of the 3 are down, what stays of them would be started"
    ]
    assert lines(Difference("web", "unchanged"), None, colour=True) == ["\x1b[2m= web: unchanged\x1b[0m"]
