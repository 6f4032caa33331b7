from __future__ import annotations

import json

import pytest

GOOD = """
[apps.web]
command = ["/bin/sleep", "1000"]
instances = 2
namespace = "shop"
env = { API_TOKEN = "secret", LEVEL = 1 }
[apps.web.env_profiles.production]
LEVEL = 2
[apps.one]
command = "/bin/true"
"""

BAD = """
[apps.a]
command = "/bin/sleep 1000"
instance = 2
restart = "sometimes"
[apps.b]
script = "missing.py"
user = "nobody-of-that-name"
[apps.c]
command = "/bin/true"
"""

CLASH = """
[apps.a]
command = "/bin/true"
logs = { merge = "streams" }
[apps.a-0]
command = "/bin/true"
logs = { merge = "all" }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_file(rook, folder):
    (folder / "rook.toml").write_text(GOOD)
    ran = rook("check")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "rook.toml: no mistake, 2 apps",
        "  web: 2 instances of /bin/sleep 1000",
        f"    in {folder}, namespace shop",
        "    with API_TOKEN=***, LEVEL=1",
        "  one: 1 instance of /bin/true",
        f"    in {folder}, namespace default",
    ]
    assert "LEVEL=2" in rook("check", "rook.toml", "--env", "production").out


def test_all_mistakes_are_told_in_their_order(rook, folder):
    (folder / "rook.toml").write_text(BAD)
    ran = rook("check")
    assert ran.code == 2
    assert ran.out.splitlines() == [
        "rook.toml:4: apps.a.instance: unknown key",
        "  hint: did you mean instances?",
        "rook.toml:5: apps.a.restart: must be 'always' or 'on-failure' or 'never', not 'sometimes'",
        f"rook.toml:7: apps.b.script: there is no file 'missing.py' in {folder}",
        "  hint: scripts are looked for in cwd",
        "rook.toml:8: apps.b.user: there is no user 'nobody-of-that-name'",
        "  hint: see: getent passwd",
    ]
    assert ran.err == "rook.toml: 4 problems; nothing of it can be started\n"


def test_json(rook, folder):
    (folder / "good.toml").write_text(GOOD)
    (folder / "bad.toml").write_text(BAD)
    ran = rook("check", "good.toml", "bad.toml", "none.toml", "--json")
    good, bad, none = json.loads(ran.out)
    assert ran.code == 2
    assert (good["ok"], good["problems"], good["file"]) == (True, [], str(folder / "good.toml"))
    assert [(app["name"], app["instances"]) for app in good["apps"]] == [("web", 2), ("one", 1)]
    assert "secret" not in ran.out
    assert (bad["ok"], len(bad["problems"])) == (False, 4)
    assert [app["name"] for app in bad["apps"]] == ["c"]
    assert bad["problems"][0] == {
        "file": "bad.toml",
        "line": 4,
        "key": "apps.a.instance",
        "problem": "unknown key",
        "hint": "did you mean instances?",
    }
    assert none["problems"][0]["problem"] == "there is no such file"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "rook.toml: there are no apps in it"),
        ("[apps.web\n", "rook.toml:1: this is not TOML"),
        ("[aps.web]\ncommand = 'true'\n", "rook.toml:1: aps: unknown key"),
        ("[defaults]\ninstances = 0\n[apps.web]\n", "rook.toml:2: defaults.instances: must be 1 or more, not 0"),
        ("[apps.web]\n", "rook.toml:1: apps.web: nothing says what to run"),
        (CLASH, "rook.toml: apps.a-0: it would write to the same log file as a, a-0.log"),
        ("[apps.all]\ncommand = '/bin/true'\n", "rook.toml:1: apps.all: 'all' cannot be a name"),
    ],
)
def test_each_mistake_alone(rook, folder, text, problem):
    (folder / "rook.toml").write_text(text)
    ran = rook("check")
    assert ran.code == 2
    assert ran.out.startswith(problem)
    assert ran.err == "rook.toml: 1 problem; nothing of it can be started\n"


def test_what_a_mistake_leads_to_is_no_second_one(rook, folder):
    (folder / "rook.toml").write_text("[apps.web]\nscript = 3\n[apps.b]\ncommand = '/bin/true'\n")
    assert rook("check").out.splitlines() == ["rook.toml:2: apps.web.script: must be a string, not 3"]


def test_an_unknown_profile_beside_other_mistakes(rook, folder):
    (folder / "rook.toml").write_text(BAD)
    ran = rook("check", "--env", "staging")
    assert "there is no environment profile 'staging'" in ran.out
    assert "apps.a.instance" in ran.out


def test_what_is_for_rook_up_only_is_said(rook, folder):
    (folder / "rook.toml").write_text("[apps.a]\ncommand = '/bin/true'\nlogs = { via = 'stdout' }\n")
    assert '    for rook up only: logs.via = "stdout"' in rook("check").out.splitlines()


def test_no_file(rook, folder):
    ran = rook("check")
    assert (ran.code, ran.out.splitlines()[0]) == (2, "rook.toml: there is no such file")


def test_the_schema(rook):
    ran = rook("check", "--schema")
    assert (ran.code, json.loads(ran.out)["title"]) == (0, "rook.toml")


@pytest.mark.parametrize("argv", [["--schema", "rook.toml"], ["--schema", "--env", "x"], ["--jsno"]])
def test_wrong_usage(rook, argv):
    assert rook("check", *argv).code == 2
