"""Every way to say which apps, with every command that takes one."""

from __future__ import annotations

import pytest

from capabilities import DEADLINE
from rookery.testing import wait_until

pytestmark = pytest.mark.real

FILE = """
[defaults]
min_uptime = "0s"
[apps.web]
command = ["/bin/sleep", "1000"]
instances = 2
namespace = "shop"
stdin = "pipe"
[apps.web-2]
command = ["/bin/sleep", "1000"]
namespace = "shop"
stdin = "pipe"
[apps.job]
command = ["/bin/sleep", "1000"]
stdin = "pipe"
"""
SOME = """
[defaults]
surprise = "what is wrong in it is of no consequence: it is asked for names only"
[apps.web]
command = ["/no/such/program"]
[apps.not-started]
command = ["/bin/sleep", "1000"]
"""

ALL = ("job:0", "web-2:0", "web:0", "web:1")
SELECTORS = {
    "id": (["1"], ("web:1",)),
    "name": (["web"], ("web:0", "web:1")),
    "name-index": (["web:1"], ("web:1",)),
    "namespace": (["shop"], ("web-2:0", "web:0", "web:1")),
    "regex": (["/^web/"], ("web-2:0", "web:0", "web:1")),
    "all": (["all"], ALL),
    "file": (["some.toml"], ("web:0", "web:1")),
    "several": (["0", "web:0", "job"], ("job:0", "web:0")),
    "file-and-name": (["some.toml", "job"], ("job:0", "web:0", "web:1")),
}


def open_shop(rook):
    (rook.folder / "rook.toml").write_text(FILE)
    (rook.folder / "some.toml").write_text(SOME)
    (rook.folder / "none.toml").write_text('[apps.unknown]\ncommand = ["x"]\n')
    (rook.folder / "empty.toml").write_text("")
    rook.ok("start", "rook.toml", "--wait", "started")
    return rook


@pytest.fixture
def shop(rook):
    return open_shop(rook)


@pytest.fixture(scope="module")
def lasting_shop(lasting_rook):
    return open_shop(lasting_rook)


def names(rows):
    return tuple(sorted(f"{row['name']}:{row['index']}" for row in rows))


@pytest.mark.parametrize(("words", "meant"), SELECTORS.values(), ids=SELECTORS)
def test_looking(lasting_shop, words, meant):
    shop = lasting_shop
    assert names(shop.json("list", *words)) == meant
    assert names(detail["row"] for detail in shop.json("show", *words)) == meant
    assert names(shop.json("env", *words)) == meant
    assert names(shop.json("wait", *words)["outcomes"]) == meant
    told = {(one["name"], one["index"]): one for one in shop.json("events", *words) if one["name"]}
    assert names(told.values()) == meant
    assert shop("logs", *words).code == 0


@pytest.mark.parametrize(("words", "meant"), SELECTORS.values(), ids=SELECTORS)
def test_acting(shop, words, meant):
    def pids():
        return {f"{row['name']}:{row['index']}": row["pid"] for row in shop.rows()}

    before = pids()
    assert names(shop.json("restart", *words, "--wait", "started")["outcomes"]) == meant
    after = pids()
    assert tuple(sorted(name for name in ALL if after[name] != before[name])) == meant
    assert names(shop.json("signal", "CONT", *words)) == meant
    assert names(shop.json("reset", *words)) == meant
    assert shop.json("flush", *words)["emptied"] >= 0
    if len(words) == 1:
        assert names(shop.json("send", *words, "hello")) == meant
    assert names(shop.json("stop", *words)["outcomes"]) == meant
    assert names(row for row in shop.rows() if row["state"] == "stopped") == meant
    if not any(word.endswith(".toml") for word in words):  # start FILE applies it
        assert names(shop.json("start", *words, "--wait", "started")["outcomes"]) == meant
        assert names(row for row in shop.rows() if row["state"] == "running") == ALL
    assert names(shop.json("delete", *words)["outcomes"]) == meant
    assert names(shop.rows()) == tuple(name for name in ALL if name not in meant)


@pytest.mark.parametrize(
    "command", ["list", "show", "logs", "env", "wait", "stop", "restart", "delete", "reset", "flush"]
)
def test_files_that_name_nothing(lasting_shop, command):
    shop = lasting_shop
    assert shop(command, "none.toml").code == 3
    ran = shop(command, "empty.toml")
    assert (ran.code, "there are no apps in it" in ran.err) == (2, True)
    assert shop(command, "missing.toml").code == 3  # no file: a name, and none that is known
    assert names(shop.rows()) == ALL
    wait_until(lambda: all(row["state"] == "running" for row in shop.rows()), DEADLINE, "all of them untouched")
