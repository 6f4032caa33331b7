from __future__ import annotations

import json
import os

import pytest
from fake_manager import problem

from rookery.cli.commands import logs as logs_command
from rookery.cli.log_feeds import Feed, Style, feeds


def source(index=0, out=None, err=None, *, name="web"):
    return {
        "id": index,
        "name": name,
        "index": index,
        "out": out or f"{name}-{index}.o",
        "err": err or f"{name}-{index}.e",
    }


WEB, WEB1, JOB = source(), source(index=1), source(name="job")


@pytest.mark.parametrize(
    ("sources", "streams", "expected"),
    [
        ([WEB], ("out", "err"), [("web:0", "out"), ("web:0", "err")]),
        ([WEB], ("err",), [("web:0", "err")]),
        ([WEB, WEB1], ("out",), [("web:0", "out"), ("web:1", "out")]),
        ([source(0, "x", "x")], ("err",), [("web:0", "merged")]),
        ([source(0, "o", "e"), source(1, "o", "e")], ("out", "err"), [("web", "out"), ("web", "err")]),
        ([source(0, "x", "x"), source(1, "x", "x")], ("out",), [("web", "merged")]),
        ([], ("out", "err"), []),
    ],
)
def test_each_file_is_read_once(sources, streams, expected):
    assert [(feed.label, feed.stream) for feed in feeds(sources, streams)] == expected


OUT, ERR, OTHER = Feed("web", 0, "out", "o"), Feed("web", 0, "err", "e"), Feed("job", 1, "out", "p")


def style_for(*expected, **options):
    style = Style(**options)
    for feed in expected:
        style.expect(feed)
    return style


def test_one_instance_has_no_prefix():
    assert style_for(OUT, ERR).line(OUT, b"hello") == "hello"
    assert style_for(OUT, OTHER).line(OUT, b"hello") == "web:0 | hello"
    assert style_for(OUT, OTHER, prefix=False).line(OUT, b"hello") == "hello"


def test_bytes_that_are_no_text_are_shown_somehow():
    assert style_for(OUT).line(OUT, b"a\xff\xfeb") == "a��b"


def test_json_lines():
    line = style_for(OUT, OTHER, json=True).line(OTHER, b'say "x"\xff')
    assert json.loads(line) == {"app": "job", "instance": 1, "stream": "out", "message": 'say "x"�'}


def test_colours_tell_apps_and_streams_apart():
    style = style_for(OUT, ERR, OTHER, colour=True)
    prefixes = {style.line(feed, b"x").partition("m")[0] for feed in (OUT, ERR, OTHER)}
    assert len(prefixes) == 3
    assert style.line(OUT, b"\x1b[31mred").endswith("\x1b[31mred\x1b[0m")


@pytest.fixture
def folder(tmp_path, manager):
    (tmp_path / "web-0.o").write_bytes(b"".join(b"out %d\n" % number for number in range(20)))
    (tmp_path / "web-0.e").write_bytes(b"oops\n")
    (tmp_path / "job-0.o").write_bytes(b"job\n")

    def placed(one):
        return {**one, "out": str(tmp_path / one["out"]), "err": str(tmp_path / one["err"])}

    manager.sources = [placed(WEB)]
    manager.other = placed(JOB)
    manager.answers["GET", "/v1/logs"] = lambda _asked: (200, manager.sources)
    return tmp_path


def test_last_lines(rook, manager, folder):
    assert rook("logs", "web").out.splitlines() == [*(f"out {number}" for number in range(5, 20)), "oops"]
    assert manager.asked[0].selectors == ["web"]
    assert rook("logs", "-n", "1").out == "out 19\noops\n"
    assert rook("logs", "-n", "1", "--out").out == "out 19\n"
    assert rook("logs", "-n1", "--err").out == "oops\n"
    assert rook("logs", "-n", "0") == (0, "", "")


def test_several_apps(rook, manager, folder):
    manager.sources.append(manager.other)
    assert rook("logs", "-n", "1").out == "web:0 | out 19\nweb:0 | oops\njob:0 | job\n"
    assert rook("logs", "-n", "1", "--no-prefix").out == "out 19\noops\njob\n"
    assert "\x1b[" in rook("logs", "-n", "1", "--color", "always").out
    lines = [json.loads(line) for line in rook("logs", "-n", "1", "--json").out.splitlines()]
    assert [(line["app"], line["stream"], line["message"]) for line in lines] == [
        ("web", "out", "out 19"),
        ("web", "err", "oops"),
        ("job", "out", "job"),
    ]


def test_following_goes_on_and_finds_new_instances(rook, manager, folder, monkeypatch):
    monkeypatch.setattr(logs_command, "ASK_AGAIN", 0)
    pauses = []

    def pause(_seconds):
        # Each step of the story happens while the command has nothing to read.
        pauses.append(1)
        if len(pauses) == 1:
            with open(folder / "web-0.o", "ab") as file:
                file.write(b"more\n")
        elif len(pauses) == 3:
            manager.sources.append(manager.other)
        elif len(pauses) == 5:
            with open(folder / "job-0.o", "ab") as file:
                file.write(b"job again\n")
        elif len(pauses) == 6:
            manager.answers["GET", "/v1/logs"] = problem(404, "gone", exit_code=3)
        elif len(pauses) == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(logs_command.time, "sleep", pause)
    before = os.listdir("/proc/self/fd")
    ran = rook("logs", "-f", "-n", "1")
    assert (ran.code, ran.err) == (130, "")
    assert ran.out == "out 19\noops\nmore\njob:0 | job\njob:0 | job again\n"
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_no_manager(rook, home):
    assert rook("logs") == (0, "", f"no manager runs; logs are in {home}/logs\n")
    assert rook("logs", "web").code == 3


def test_no_apps(rook, manager, folder):
    manager.sources = []
    assert rook("logs") == (0, "", "no apps; start one with: rook start app.py\n")


@pytest.mark.parametrize("argv", [["-n", "x"], ["-n", "-1"], ["--out", "--err"], ["--color", "blue"]])
def test_wrong_options(rook, argv):
    assert rook("logs", *argv).code == 2


def test_a_file_that_may_not_be_read(rook, manager, folder):
    os.unlink(folder / "web-0.o")
    os.mkdir(folder / "web-0.o")
    ran = rook("logs")
    assert ran.code == 1
    assert ran.err.startswith("rook: ")
