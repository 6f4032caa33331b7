from __future__ import annotations

import json
import os

import pytest
from fake_manager import ended, problem, row

from rookery.cli.commands import list as list_command

ROWS = [
    row(1),
    row(
        2,
        name="worker",
        index=1,
        pid=None,
        state="backoff",
        uptime=None,
        cpu=None,
        memory=None,
        exit=ended("exited with code 1\x1b[31m"),
    ),
]


def test_table(rook, manager):
    manager.answers["GET", "/v1/instances"] = 200, ROWS
    ran = rook("list")
    assert ran.out.splitlines() == [
        "id  name    ns       #  pid  state    ↺  uptime   cpu    mem",
        " 1  web     default  0  101  running  0    1m5s  1.2%  50.0M",
        " 2  worker  default  1    -  backoff  0       -     -      -",
        "  worker:1  backoff: exited with code 1",
    ]
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("alias", ["ls", "ps", "status"])
def test_aliases(rook, manager, alias):
    manager.answers["GET", "/v1/instances"] = 200, ROWS
    assert rook(alias).out == rook("list").out


def test_selectors_are_passed_on(rook, manager):
    manager.answers["GET", "/v1/instances"] = 200, ROWS
    rook("list", "web", "/w.*/", "--json")
    assert manager.asked[0].selectors == ["web", "/w.*/"]


def test_json_is_what_the_manager_says_one_line_each(rook, manager):
    manager.answers["GET", "/v1/instances"] = 200, ROWS
    ran = rook("list", "--json")
    assert json.loads(ran.out) == ROWS
    assert len(ran.out.splitlines()) == 4


def test_narrow(rook, manager, monkeypatch):
    manager.answers["GET", "/v1/instances"] = 200, ROWS
    monkeypatch.setenv("COLUMNS", "37")
    ran = rook("list")
    table = [line for line in ran.out.splitlines() if not line.startswith("  ")]
    assert max(map(len, table)) <= 37
    assert ran.err == "4 columns hidden (ns, uptime, cpu, mem); the terminal is narrow, --json shows all\n"


def test_reasons_are_told_for_ten():
    rows = [row(number, state="fatal", exit=ended()) for number in range(13)]
    lines = list_command.reasons([row(99, exit=ended()), *rows])
    assert len(lines) == 11
    assert lines[-1] == "  and 3 more"


def test_nothing_runs(rook, manager):
    manager.answers["GET", "/v1/instances"] = 200, []
    assert rook("list") == (0, "", "no apps; start one with: rook start app.py\n")
    assert rook("list", "--json") == (0, "[]\n", "")


def test_no_manager_and_nothing_wanted(rook, home):
    assert rook("list") == (0, "", "no apps; start one with: rook start app.py\n")
    assert rook("list", "--json") == (0, "[]\n", "")
    assert not os.path.exists(home)
    assert rook("list", "web").code == 3


def test_nothing_matched(rook, manager):
    manager.answers["GET", "/v1/instances"] = problem(
        404, "no app matches 'wbe'", exit_code=3, hint="did you mean web?"
    )
    assert rook("list", "wbe") == (3, "", "rook: no app matches 'wbe'\nhint: did you mean web?\n")


def test_help_and_wrong_options_take_the_long_way(rook):
    assert "rook list --json" in rook("list", "--help").out
    ran = rook("list", "--jsno")
    assert ran.code == 2
    assert "did you mean --json?" in ran.err
