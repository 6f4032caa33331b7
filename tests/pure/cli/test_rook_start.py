from __future__ import annotations

import os
import sys

import pytest
from fake_manager import outcome, problem

from rookery.cli.start_options import SETTINGS, parse
from rookery.cli.start_target import described, may_be_known
from rookery.config.contradictions import CLUSTER_KEYS
from rookery.config.target import resolve_target
from rookery.errors import UsageError

DONE = {"outcomes": [outcome()], "expired": False}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a script and two config files."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "app.py").write_text("")
    (place / "rook.toml").write_text('[apps.one]\ncommand = ["sleep", "1"]\n[apps.two]\ncommand = ["sleep", "2"]\n')
    (place / "more.toml").write_text('[apps.three]\ncommand = ["sleep", "3"]\nenv_profiles.prod = { A = "b" }\n')
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(
    ("argv", "words", "rest", "settings"),
    [
        (["app.py"], ["app.py"], None, {}),
        (["-n", "web", "app.py"], ["app.py"], None, {"name": "web"}),
        (["x", "--name=web", "one", "-i", "2", "two"], ["x", "one", "two"], None, {"name": "web", "instances": "2"}),
        (["app.py", "-i", "-1"], ["app.py"], None, {"instances": "-1"}),
        (["app.py", "-5"], ["app.py", "-5"], None, {}),
        (["app.py", "--", "--name", "x"], ["app.py"], ["--name", "x"], {}),
        (["app.py", "a", "--", "b", "--", "c"], ["app.py", "a"], ["b", "--", "c"], {}),
        (["--", "prog", "-x"], [], ["prog", "-x"], {}),
        (["-n", "x", "--", "prog"], [], ["prog"], {"name": "x"}),
        (["app.py", "--"], ["app.py"], [], {}),
        ([], [], None, {}),
        (["-m", "pkg.main", "arg"], ["arg"], None, {"module": "pkg.main"}),
        (["a | b", "--shell"], ["a | b"], None, {"shell": True}),
        (["x", "--set-env", "A=1", "--set-env", "B=x=y"], ["x"], None, {"env": {"A": "1", "B": "x=y"}}),
        (["x", "--max-restarts", "3"], ["x"], None, {"max_restarts": {"count": "3"}}),
        (["x", "--logs-keep", "3", "--logs-merge", "all"], ["x"], None, {"logs": {"keep": "3", "merge": "all"}}),
    ],
)
def test_what_belongs_to_whom(argv, words, rest, settings):
    call = parse(argv)
    assert (call.words, call.rest, call.settings) == (words, rest, settings)


@pytest.mark.parametrize(
    ("argv", "what", "hint"),
    [
        (["app.py", "--port", "80"], "has no option --port", "go after --"),
        (["app.py", "--nmae", "x"], "has no option --nmae", "did you mean --name? options for the program go after --"),
        (["app.py", "--set-env", "A"], "has no value", "A=VALUE"),
        (["app.py", "--wait", "x"], "invalid choice: 'x'", "rook start --help"),
        (["app.py", "--timeout", "x"], "is not a duration", "rook start --help"),
        (["app.py", "--name"], "expected one argument", "rook start --help"),
    ],
)
def test_wrong_options(argv, what, hint):
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_the_defaults_in_the_help_are_the_real_ones(folder):
    python = {"interpreter": sys.executable}
    targets = {"app.py": {}, "shop:app": python}
    plain = {target: resolve_target(target, [], cwd=str(folder), options=more) for target, more in targets.items()}
    words = {
        "from the target",
        "found",
        "found by extension or #!",
        "none",
        "you",
        "the user's",
        "inherited",
        "no limit",
    }
    for setting in SETTINGS:
        if setting.default in words - {"none"} or setting.default == "the system's":
            continue
        if setting.path in (("module",), ("env_file",), ("max_restarts", "window")):
            continue
        target = "shop:app" if setting.path[0] in CLUSTER_KEYS else "app.py"
        value = setting.default.partition(" for an app")[0]
        options = parse([target, setting.flags.split()[-1], value]).settings
        found = resolve_target(target, [], cwd=str(folder), options={**targets[target], **options})
        assert found == plain[target], setting


@pytest.mark.parametrize(
    ("argv", "known"),
    [
        (["web"], True),
        (["web", "worker"], True),
        (["all"], True),
        (["3", "4"], True),
        (["web:0"], True),
        (["/^a/"], True),
        (["web", "--wait", "none", "--timeout", "1", "--json"], True),
        (["app.py"], False),  # a file here
        (["web", "rook.toml"], False),
        (["missing.toml"], False),
        (["sleep", "3"], False),
        (["web", "--name", "x"], False),
        (["web", "--", "x"], False),
        (["--", "web"], False),
        (["web", "--inherit-env"], False),
        ([], False),
    ],
)
def test_what_may_be_a_known_app(folder, argv, known):
    assert may_be_known(parse(argv)) is known


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        ([], ["one", "two"]),
        (["rook.toml"], ["one", "two"]),
        (["--only", "two"], ["two"]),
        (["more.toml", "rook.toml"], ["three", "one", "two"]),
        (["more.toml", "--env", "prod"], ["three"]),
        (["app.py"], ["app"]),
        (["app.py", "-n", "web"], ["web"]),
        (["--", "sleep", "1"], ["sleep"]),
        (["sleep 1"], ["sleep"]),
        (["-m", "pkg.main", "--", "-x"], ["main"]),
        (["cat rook.toml | wc", "--shell", "-n", "count"], ["count"]),
    ],
)
def test_what_is_described(folder, argv, names):
    assert [spec.name for spec in described(parse(argv), cwd=str(folder))] == names


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["--", "sleep", "--help"], ["sleep", "--help"]),
        (["sleep", "1", "--", "-x"], ["sleep", "1", "-x"]),
        (["app.py", "a", "-n", "w", "--", "--b"], ["app.py", "a", "--b"]),
        (["-m", "pkg", "a", "--", "-x"], ["pkg", "a", "-x"]),
        (["-m", "pkg", "--", "-x"], ["pkg", "-x"]),
    ],
)
def test_arguments_arrive_in_order(folder, argv, command):
    (spec,) = described(parse(argv), cwd=str(folder))
    assert [os.path.basename(word) for word in spec.command][-len(command) :] == command


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["rook.toml", "x"], "takes no arguments such as 'x'"),
        (["rook.toml", "--", "x"], "takes no arguments such as 'x'"),
        (["rook.toml", "--graceful-timeout", "1s"], "options such as --graceful-timeout do not go with"),
        (["rook.toml", "--set-env", "A=b"], "options such as --set-env do not go with"),
        (["--name", "x"], "options such as --name do not go with"),
        (["app.py", "--env", "prod"], "--env names a profile"),
        (["app.py", "--only", "x"], "--only chooses apps"),
        (["rook.toml", "--only", "x"], "no app 'x'"),
        (["missing.toml"], "there is no such file"),
        (["nothing-like-this"], "cannot start"),
    ],
)
def test_what_cannot_be(rook, folder, home, argv, text):
    ran = rook("start", *argv)
    assert ran.code in (2, 3)
    assert text in ran.err
    assert not os.path.exists(home)  # no manager was started for a mistake


def test_nothing_at_all(rook, folder):
    os.unlink("rook.toml")
    ran = rook("start")
    assert ran.code == 2
    assert ran.err.startswith("rook: nothing to start\n  no target was given, and there is no rook.toml here\nhint: ")


def test_apply(rook, manager, folder, monkeypatch):
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    manager.answers["POST", "/v1/apply"] = 200, DONE
    ran = rook("start", "app.py", "-i", "2", "--set-env", "A=b", "--timeout", "5s")
    assert ran == (0, "web:0  started  pid 1234\n", "")
    (asked,) = manager.asked
    (spec,) = asked.body.pop("specs")
    assert (spec["name"], spec["instances"], spec["env"]["A"], spec["cwd"]) == ("app", 2, "b", str(folder))
    env = asked.body.pop("base_env")
    assert "PATH" in env
    assert "SECRET_OF_MINE" not in env
    assert asked.body == {"wait": "settled", "timeout": 5.0}
    rook("start", "app.py", "--inherit-env")
    assert manager.asked[1].body["base_env"]["SECRET_OF_MINE"] == "x"


def test_what_is_sent_is_what_the_manager_reads(rook, manager, folder):
    import json

    import msgspec

    from rookery.config.spec import AppSpec
    from rookery.control.messages import StartRequest

    manager.answers["POST", "/v1/apply"] = 200, DONE
    rook("start", "rook.toml")
    request = msgspec.json.decode(json.dumps(manager.asked[0].body), type=StartRequest)
    specs = [msgspec.json.decode(raw, type=AppSpec) for raw in request.specs]
    assert specs == described(parse(["rook.toml"]), cwd=str(folder))


def test_known_apps(rook, manager, folder):
    manager.answers["GET", "/v1/instances"] = 200, []
    manager.answers["POST", "/v1/start"] = 200, DONE
    assert rook("start", "web", "worker", "--wait", "ready").code == 0
    assert manager.asked[0].selectors == ["web", "worker"]
    assert manager.asked[1].body == {"selectors": ["web", "worker"], "wait": "ready", "timeout": 30.0}


@pytest.mark.parametrize("exit_code", [2, 3])
def test_words_that_are_no_known_app_are_a_target(rook, manager, folder, exit_code):
    manager.answers["GET", "/v1/instances"] = problem(404, "no", exit_code=exit_code)
    manager.answers["POST", "/v1/apply"] = 200, DONE
    assert rook("start", "sleep", "x").code == 0
    assert manager.asked[1].body["specs"][0]["command"][1:] == ["x"]


def test_all_of_nothing(rook, home, folder):
    ran = rook("start", "all")
    assert (ran.code, ran.err) == (3, "rook: there are no apps to start\nhint: start one with: rook start app.py\n")
