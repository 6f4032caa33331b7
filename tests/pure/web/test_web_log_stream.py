"""Lines as events: every id goes on exactly after its event, whatever happened to the files meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "logs"))

from starlette.requests import Request
from written import append, index, pack, rotate

from rookery import errors
from rookery.control.messages import AppSource
from rookery.errors import NothingMatched
from rookery.testing import wait_until
from rookery.web import log_stream
from rookery.web.log_stream import Lines, LogStream, log_query
from rookery.web.streams import Streams


@pytest.fixture
def folder(tmp_path):
    append(tmp_path / "out", b"1\n2\n3\n")
    append(tmp_path / "err", b"ERROR bad\n")
    index(str(tmp_path / "out"), (1000, 0), (3000, 4))
    index(str(tmp_path / "err"), (2000, 0))
    return tmp_path


@pytest.fixture
def ask(folder):
    def sources():
        return [AppSource(id=0, name="web", index=0, out=str(folder / "out"), err=str(folder / "err"))]

    return sources


def query(text="", last=""):
    headers = [(b"last-event-id", last.encode())] if last else []
    return log_query(Request({"type": "http", "query_string": text.encode(), "headers": headers}))


async def until_end(lines):
    messages = []
    try:
        while True:
            messages += await lines.more()
    except EOFError:
        return messages
    finally:
        lines.close()


def told(messages):
    return [json.loads(message.data)["message"] for message in messages if not message.event]


def read(ask, text="", last=""):
    return asyncio.run(until_end(Lines(query(text, last), ask)))


def test_the_history_in_order_of_time(ask):
    messages = read(ask)
    first = json.loads(messages[0].data)
    assert {**first, "time": first["time"][14:23]} == {
        "app": "web",
        "instance": 0,
        "stream": "out",
        "time": "00:01.000",
        "level": "info",
        "message": "1",
    }
    assert told(messages) == ["1", "2", "ERROR bad", "3"]
    assert messages[-1].event == "end"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lines=1", ["ERROR bad", "3"]),
        ("lines=0", []),
        ("lines=all&out=1", ["1", "2", "3"]),
        ("err=1", ["ERROR bad"]),
        ("since=@2", ["ERROR bad", "3"]),
        ("until=@2", ["1", "2", "ERROR bad"]),
    ],
)
def test_what_is_asked_for(ask, text, expected):
    assert told(read(ask, text)) == expected


def test_no_lines_are_no_unfinished_ones_either(ask, folder):
    append(folder / "out", b"unfinished")
    assert told(read(ask, "lines=0")) == []
    assert told(read(ask, "lines=1&out=1")) == ["unfinished"]


@pytest.mark.parametrize("text", ["lines=x", "lines=-1", "since=soon", "follow=maybe"])
def test_what_makes_no_sense(text):
    with pytest.raises(errors.UsageError):
        query(text)


@pytest.mark.parametrize("last", ["x", "eAE~1", "~", "a" * 5000])
def test_an_id_that_is_none(last):
    with pytest.raises(errors.UsageError):
        query("", last)


def test_an_id_names_no_other_files(ask, folder):
    """Places are taken of the files that were selected alone."""
    append(folder / "secret", b"secret\n")
    other = [AppSource(id=1, name="x", index=0, out=str(folder / "secret"), err=str(folder / "secret"))]
    last = read(lambda: other)[0].id
    assert "secret" not in "".join(told(read(ask, "", last)))


def test_every_id_goes_on_exactly_after_its_event(ask, folder):
    append(folder / "out", b"4\n5\n6\n")
    messages = read(ask, "lines=all")
    everything = told(messages)
    later = ["7", "8", "9"]
    append(folder / "out", b"7\n")
    rotate(str(folder / "out"))
    append(folder / "out", b"8\n")
    rotate(str(folder / "out"))
    append(folder / "out", b"9\n")
    pack(str(folder / "out"), 2)
    for number, message in enumerate(messages):
        rest = told(read(ask, "", message.id))
        assert sorted(rest) == sorted(everything[number + 1 :] + later)


def test_with_very_many_files_only_the_last_of_a_batch_has_an_id(ask, folder, monkeypatch):
    monkeypatch.setattr(log_stream, "_LONGEST_ID", 10)
    messages = read(ask, "out=1")
    assert [bool(message.id) for message in messages] == [False, True, True, True]


def test_json_files_are_parsed_unless_raw(folder):
    own = {"time": "T", "level": "debug", "app": "web", "instance": 0, "stream": "out", "message": "x"}
    (folder / "out").write_text(json.dumps(own) + "\n")
    sources = [AppSource(id=0, name="web", index=0, out=str(folder / "out"), err=str(folder / "out"), json=True)]
    assert json.loads(read(lambda: sources)[0].data) == own
    raw = json.loads(read(lambda: sources, "raw=1")[0].data)
    assert (json.loads(raw["message"]), raw["json"]) == (own, True)


async def next_of(lines):
    return await asyncio.wait_for(lines.more(), 20)


async def test_following(folder, ask, monkeypatch):
    monkeypatch.setattr(log_stream, "ASK_AGAIN", 0)
    sources = ask()
    lines = Lines(query("select=web&follow=1&lines=1"), lambda: sources or missing())

    def missing():
        raise NothingMatched("gone")

    first = await next_of(lines)
    while first[-1].event != "live":
        first += await next_of(lines)
    append(folder / "out", b"4\n")
    assert told(await next_of(lines)) == ["4"]
    append(folder / "late", b"late\n")
    sources.append(AppSource(id=1, name="web", index=1, out=str(folder / "late"), err=str(folder / "late")))
    assert told(await next_of(lines)) == ["late"]
    sources.clear()
    assert (await next_of(lines))[-1].event == "end"
    with pytest.raises(EOFError):
        await lines.more()
    lines.close()


async def test_nothing_is_read_ahead_of_the_client(folder, ask):
    append(folder / "out", (b"x" * 99 + b"\n") * 100_000)
    lines = Lines(query("lines=all&out=1"), ask)
    messages = await next_of(lines)
    assert sum(len(message.data) for message in messages) < 3 * log_stream.AT_ONCE
    lines.close()


async def test_a_client_that_goes_leaves_nothing_open(folder, ask):
    lines = Lines(query("follow=1"), ask)
    response = LogStream(Streams(), lines)
    before = len(os.listdir("/proc/self/fd"))
    sent = asyncio.Event()

    async def receive():
        await sent.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if b'"message":"3"' in message.get("body", b""):
            sent.set()

    await asyncio.wait_for(response({"type": "http"}, receive, send), 20)
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before, 20, "the files closed")  # a last look may go on
