"""Apps that share a port, from the command line: what a person types, sees and gets."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from capabilities import DEADLINE, needs_node
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(4 * DEADLINE)]

SHOP = """
import os
VERSION = os.environ.get("VERSION", "1")
if VERSION == "broken":
    raise RuntimeError("no such table: orders")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"{VERSION} {os.getpid()}".encode()
    status = 500 if scope["path"] == "/fail" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
SLOW = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    open("asked", "w").close()
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
"""
FILE = """
[apps.shop]
app = "shop:app"
bind = "127.0.0.1:0"
instances = 2
linger = "100ms"
env.VERSION = "1"
env_profiles.next.VERSION = "2"
"""
SERVER = "require('http').createServer((request, response) => response.end('ok')).listen(3000);\n"


@pytest.fixture
def shop(rook):
    (rook.folder / "shop.py").write_text(SHOP)
    (rook.folder / "rook.toml").write_text(FILE)
    return rook


def ask(bind, path="/"):
    with urllib.request.urlopen(f"http://{bind}{path}", timeout=DEADLINE) as answer:
        return answer.read().decode()


def is_refused(bind):
    host, _, port = bind.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) != 0


def test_an_app_is_started_scaled_and_stopped(shop):
    said = shop("start", "shop:app", "-i", "2", "--bind", "127.0.0.1:0", "--linger", "100ms")
    (bind,) = {row["bind"] for row in shop.rows("shop")}
    assert said.code == 0
    assert f"shop listens at {bind}\n" in said.err
    assert re.fullmatch(r"shop:0  started  pid \d+\nshop:1  started  pid \d+\n", said.out)
    assert ask(bind).startswith("1 ")
    assert bind in shop.ok("list")
    shop.ok("scale", "shop", "1")
    assert ask(bind) == f"1 {shop.row('shop')['pid']}"
    shop.ok("stop", "shop")
    assert is_refused(bind)
    shop.ok("start", "shop")
    assert ask(shop.row("shop")["bind"]).startswith("1 ")
    shop.ok("delete", "shop")


def test_what_each_does_is_counted(shop):
    shop.ok("start", "shop:app", "--bind", "127.0.0.1:0", "--linger", "100ms")
    bind = shop.row("shop")["bind"]
    for path in ("/", "/", "/fail"):
        if path == "/fail":
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(bind, path)
            caught.value.close()
        else:
            ask(bind, path)
    row = shop.wait_for("shop", requests=3, errors=1)
    assert (row["in_flight"], row["ready"], sorted(row["latency"])) == (0, True, ["p50", "p90", "p99"])
    assert row["heartbeat"] < DEADLINE
    text = shop.ok("show", "shop")
    assert "requests  3, 1 errors, 0 in flight" in text
    assert re.search(r"latency   p50 [\d.]+ms, p90 [\d.]+ms, p99 [\d.]+ms", text)
    assert "app       shop:app (app)" in text
    (found,) = shop.json("list", "shop")
    assert found["requests"] == 3


def test_a_file_is_reloaded_with_what_it_says_now(shop):
    shop.ok("start")
    before = {row["index"]: row["pid"] for row in shop.rows()}
    bind = shop.rows()[0]["bind"]
    assert shop.ok("diff", "--env", "next") == (
        "~ shop: changed, 2 instances replaced, new before old\n    env.VERSION: 1 -> 2\n"
    )
    result = shop.json("reload", "rook.toml", "--env", "next")
    assert [outcome["did"] for outcome in result["outcomes"]] == ["reloaded", "reloaded"]
    after = {row["index"]: row["pid"] for row in shop.rows()}
    assert set(after) == set(before)
    assert set(after.values()).isdisjoint(before.values())
    assert [row["bind"] for row in shop.rows()] == [bind, bind]
    assert ask(bind).startswith("2 ")


def test_who_stands_beside_is_shown(rook):
    """A reload that takes long: the old one still has a request, and the command does not wait for it."""
    (rook.folder / "slow.py").write_text(SLOW)
    rook.ok("start", "slow:app", "--bind", "127.0.0.1:0", "--linger", "100ms")
    row = rook.row("slow")
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(ask, row["bind"])
        try:
            wait_until((rook.folder / "asked").exists, DEADLINE, "the request in the app")
            ran = rook("reload", "slow", "--timeout", "10ms")
            assert (ran.code, "the work goes on" in ran.err) == (5, True)
            wait_until(lambda: rook.row("slow")["pid"] != row["pid"], DEADLINE, "the new one")
            (detail,) = rook.json("show", "slow")
            assert [(one["pid"], one["role"]) for one in detail["beside"]] == [(row["pid"], "draining")]
            assert f"beside    pid {row['pid']}: the one before, answering what it has" in rook.ok("show", "slow")
        finally:
            (rook.folder / "go").touch()
        assert asked.result(DEADLINE) == "done"
    wait_until(lambda: not rook.json("show", "slow")[0]["beside"], DEADLINE, "the end of the old one")


def test_an_environment_for_a_reload(shop):
    shop.ok("start", "--only", "shop")
    bind = shop.rows()[0]["bind"]
    shop.environ["LANG"] = "x"
    shop.ok("reload", "shop")
    assert "LANG" not in shop.json("env", "shop:0")[0]["next"]
    shop.ok("reload", "shop", "--update-env")
    assert shop.json("env", "shop:0")[0]["next"]["LANG"] == "x"
    assert ask(bind).startswith("1 ")


def test_code_that_does_not_come_up_is_given_up(shop):
    shop.ok("start")
    before = {row["pid"] for row in shop.rows()}
    bind = shop.rows()[0]["bind"]
    (shop.folder / "shop.py").write_text("raise RuntimeError('half a file')\n")
    ran = shop("reload", "shop")
    assert ran.code == 1
    assert re.search(r"^shop:0  failed: .*exited with code 1", ran.out)
    assert "    RuntimeError: half a file\n" in ran.out
    assert "shop:1  kept  pid " in ran.out
    assert ran.err.startswith("hint: ")
    assert {row["pid"] for row in shop.rows()} == before
    for _ in range(20):
        assert ask(bind).startswith("1 ")
    result = json.loads(shop("reload", "rook.toml", "--json").out)
    assert [(one["ok"], one["did"]) for one in result["outcomes"]] == [(False, "failed"), (True, "kept")]
    assert ask(bind).startswith("1 ")


def test_what_init_writes_for_a_web_application_serves(rook):
    (rook.folder / "main.py").write_text(
        "from starlette.applications import Starlette\nfrom starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n\n"
        "site = Starlette(routes=[Route('/', lambda request: PlainTextResponse('hello'))])\n"
    )
    rook.ok("init")
    file = rook.folder / "rook.toml"
    assert 'app = "main:site"\nbind = "127.0.0.1:8000"\n' in file.read_text()
    file.write_text(file.read_text().replace(":8000", ":0"))
    rook.ok("check")
    rook.ok("start")
    assert ask(rook.row("main")["bind"]) == "hello"


def test_a_wsgi_application_is_found_out(rook):
    (rook.folder / "old.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n"
    )
    rook.ok("start", "old:app", "--bind", "127.0.0.1:0")
    assert ask(rook.row("old")["bind"]) == "wsgi"


def test_no_secret_is_shown(shop):
    shop.ok("start", "shop:app", "--bind", "127.0.0.1:0", "--option", "ssl_keyfile_password=geheim")
    assert shop.json("show", "shop")[0]["app"]["options"] == {"ssl_keyfile_password": "***"}
    for words in (["show", "shop"], ["env", "shop"], ["env", "shop", "--json"], ["events"], ["diff", "rook.toml"]):
        assert "geheim" not in shop.ok(*words)
    (found,) = shop.json("env", "shop")
    assert {"NOTIFY_SOCKET", "ROOKERY_SLOT", "ROOKERY_APP", "ROOKERY_WORKER_ID"} <= set(found["made_at_start"])
    assert "# in the running process" not in shop.ok("env", "shop")


def test_nothing_matches(shop):
    shop.ok("start", "--wait", "none")
    assert shop("reload", "nobody").code == 3
    assert shop("reload", "shop:7").code == 3


def test_a_place_that_is_taken(shop):
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        ran = shop("start", "shop:app", "--bind", bind, "--restart", "never")
    assert ran.code == 1
    assert ran.out.startswith(f"shop:0  failed: cannot listen on {bind}: ")
    assert "listens at" not in ran.err


@pytest.mark.parametrize("balance", ["hash", "round_robin", "least_connections", "sticky"])
def test_ways_of_balancing(shop, balance):
    words = ("-i", "2", "--bind", "127.0.0.1:0", "--linger", "100ms", "--balance", balance)
    shop.ok("start", "shop:app", *words)
    pids, bind = {row["pid"] for row in shop.rows()}, shop.rows()[0]["bind"]
    assert f"bind      {bind}, balance {balance}" in shop.ok("show", "shop")
    asked = {int(ask(bind).split()[1]) for _ in range(6)}
    assert asked <= pids
    assert len(asked) == {"round_robin": 2, "sticky": 1}.get(balance, len(asked))
    shop.ok("reload", "shop")
    assert int(ask(bind).split()[1]) in {row["pid"] for row in shop.rows()} - pids


def test_a_program_is_not_counted(rook):
    (rook.folder / "prog.py").write_text("import time\ntime.sleep(1000)\n")
    rook.ok("start", "-n", "prog", "--min-uptime", "0s", "--bind", "127.0.0.1:0", "--", "python3", "prog.py", "{fd}")
    row = rook.row("prog")
    assert (row["requests"], row["latency"], row["heartbeat"]) == (None, None, None)
    text = rook.ok("show", "prog")
    assert f"bind      {row['bind']}, balance shared" in text
    assert "requests" not in text


def test_two_apps_at_one_place(shop):
    shop.ok("start", "shop:app", "--bind", "127.0.0.1:0")
    bind = shop.row("shop")["bind"]
    ran = shop("start", "shop:app", "-n", "other", "--bind", bind, "--restart", "never")
    assert ran.code != 0
    assert bind in ran.out + ran.err
    assert ask(bind) == f"1 {shop.row('shop')['pid']}"


@needs_node
def test_a_node_server_and_a_program(rook):
    (rook.folder / "server.js").write_text(SERVER)
    rook.ok("start", "server.js", "-i", "2", "--bind", "127.0.0.1:0")
    bind = rook.rows()[0]["bind"]
    assert ask(bind) == "ok"
    before = {row["pid"] for row in rook.rows()}
    rook.ok("reload", "server")
    assert before.isdisjoint({row["pid"] for row in rook.rows()})
    assert ask(bind) == "ok"
    wait_until(lambda: sum(row["requests"] or 0 for row in rook.rows()) == 1, DEADLINE, "what they tell of requests")


def test_an_app_that_shares_nothing_is_restarted_one_by_one(rook):
    rook.ok("start", rook.programs / "idle.py", "-n", "idle", "-i", "2", "--min-uptime", "0s")
    before = {row["pid"] for row in rook.rows()}
    ran = rook("reload", "idle")
    assert ran.code == 0
    assert before.isdisjoint({row["pid"] for row in rook.rows()})
