from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from fake_manager import problem

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "logs"))

from written import append, index, pack, rotate

from rookery.cli import log_files
from rookery.cli.commands import logs as logs_command
from rookery.logs.feeds import feeds
from rookery.testing import wait_until


def source(index=0, out=None, err=None, *, name="web", **more):
    return {
        "id": index,
        "name": name,
        "index": index,
        "out": out or f"{name}-{index}.o",
        "err": err or f"{name}-{index}.e",
        **more,
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


def test_combined_files_stand_for_their_apps():
    sources = [source(0, combined="/c"), source(1, combined="/c"), JOB]
    found = feeds(sources, combined=True)
    assert [(feed.label, feed.path) for feed in found] == [("web", "/c"), ("job:0", "job-0.o"), ("job:0", "job-0.e")]


@pytest.fixture
def folder(tmp_path, manager):
    (tmp_path / "web-0.o").write_bytes(b"".join(b"out %d\n" % number for number in range(20)))
    (tmp_path / "web-0.e").write_bytes(b"oops\n")
    (tmp_path / "job-0.o").write_bytes(b"job\n")
    index(str(tmp_path / "web-0.o"), (1_000_000, 0), (1_002_000, 88))
    index(str(tmp_path / "web-0.e"), (1_001_000, 0))
    index(str(tmp_path / "job-0.o"), (1_003_000, 0))

    def placed(one):
        return {**one, "out": str(tmp_path / one["out"]), "err": str(tmp_path / one["err"])}

    manager.sources = [placed(WEB)]
    manager.other = placed(JOB)
    manager.answers["GET", "/v1/logs"] = lambda _asked: (200, manager.sources)
    return tmp_path


def test_last_lines_in_the_order_of_time(rook, manager, folder):
    lines = rook("logs", "web").out.splitlines()
    assert lines == [
        *(f"out {number}" for number in range(5, 14)),
        "oops",
        *(f"out {number}" for number in range(14, 20)),
    ]
    assert manager.asked[0].selectors == ["web"]
    assert rook("logs", "-n", "1").out == "oops\nout 19\n"
    assert rook("logs", "-n", "1", "--out").out == "out 19\n"
    assert rook("logs", "-n1", "--err").out == "oops\n"
    assert rook("logs", "-n", "0") == (0, "", "")
    assert len(rook("logs", "-n", "all").out.splitlines()) == 21


def test_several_apps(rook, manager, folder):
    manager.sources.append({**manager.other, "name": "longer"})
    assert rook("logs", "-n", "1").out == "web:0    ! oops\nweb:0    | out 19\nlonger:0 | job\n"
    assert rook("logs", "-n", "1", "--no-prefix").out == "oops\nout 19\njob\n"
    coloured = rook("logs", "-n", "1", "--color", "always").out.splitlines()
    assert len({line.partition("m")[0] for line in coloured}) == 2, "a colour per app"
    assert coloured[0].partition("|")[0] != coloured[1].partition("|")[0]
    lines = [json.loads(line) for line in rook("logs", "-n", "1", "--json").out.splitlines()]
    assert [(line["app"], line["stream"], line["message"], line["level"]) for line in lines] == [
        ("web", "err", "oops", "error"),
        ("web", "out", "out 19", "info"),
        ("longer", "out", "job", "info"),
    ]
    assert [line["time"][14:23] for line in lines] == ["16:41.000", "16:42.000", "16:43.000"]


def test_times_before_lines(rook, folder):
    os.unlink(folder / "web-0.e.idx")
    ran = rook("logs", "-n", "1", "--time")
    first, second = ran.out.splitlines()
    assert first[10:23] == "T00:16:42.000" or first[14:23] == "16:42.000"
    assert first.endswith(" out 19")
    assert second == "-".ljust(30) + "oops"


def test_since_and_until(rook, folder):
    assert rook("logs", "--since", "@1001").out == "oops\n" + "".join(f"out {number}\n" for number in range(14, 20))
    assert rook("logs", "--since", "@1001.5", "-n", "2").out == "out 18\nout 19\n"
    assert rook("logs", "--until", "@1001", "-n", "2").out == "out 12\nout 13\noops\n"
    assert rook("logs", "--since", "@1000.9", "--until", "@1001").out == "oops\n"
    assert rook("logs", "--since", "1h") == (0, "", "")


def test_a_file_that_the_app_writes_itself_is_as_old_as_its_last_change(rook, manager, folder):
    """Its index tells when copies began, not when lines came."""
    manager.sources = [{**manager.sources[0], "via": "direct"}]
    os.utime(folder / "web-0.o", (2000, 2000))
    os.utime(folder / "web-0.e", (1500, 1500))
    assert rook("logs", "--since", "@1800", "-n", "1").out == "out 19\n"
    assert rook("logs", "-n", "1").out == "oops\nout 19\n"
    assert json.loads(rook("logs", "--out", "-n", "1", "--json").out)["time"] is None


def test_grep_and_level(rook, folder):
    assert rook("logs", "--grep", "out 1[78]", "--grep", "OOPS", "-i").out == "oops\nout 17\nout 18\n"
    assert rook("logs", "--grep", "7", "-n", "1").out == "out 17\n", "the last of those that match"
    assert rook("logs", "--out", "--grep", "1", "-v", "-n", "2").out == "out 8\nout 9\n"
    assert rook("logs", "--level", "warn").out == "oops\n"


def test_json_files_keep_their_own_fields(rook, manager, folder):
    own = {"time": "T", "level": "warning", "app": "web", "instance": 4, "stream": "err", "message": "x", "extra": 1}
    (folder / "web-0.o").write_text(json.dumps(own) + "\nno json\n")
    manager.sources = [{**manager.sources[0], "json": True}]
    first, second = (json.loads(line) for line in rook("logs", "--out", "--json").out.splitlines())
    assert first == own
    assert (second["message"], second["instance"]) == ("no json", 0)
    assert json.loads(rook("logs", "--out", "-n", "2").out.splitlines()[0]) == own


def test_bytes_pass_unchanged_into_a_pipe(folder, capsysbinary):
    data = b"\xff\xfe \x1b[31mred \x1b[2J\x07 100%\rdone\n"
    (folder / "web-0.o").write_bytes(data)
    assert logs_command.run(["--out"]) == 0
    assert capsysbinary.readouterr().out == data
    logs_command.run(["--out", "--color", "never"])
    assert capsysbinary.readouterr().out == data.replace(b"\x1b[31m", b"")


def test_an_unfinished_line_is_shown_and_ended(rook, folder):
    append(folder / "web-0.o", b"half")
    assert rook("logs", "--out", "-n", "1").out == "half\n"


def test_a_very_long_line_passes_whole(rook, manager, folder):
    manager.sources.append(manager.other)
    long = "x" * 5_000_000
    append(folder / "web-0.o", long.encode() + b"\nlast\n")
    assert rook("logs", "-n", "2", "--out").out == f"web:0 | {long}\nweb:0 | last\njob:0 | job\n"
    assert rook("logs", "--grep", "^x", "-n", "1", "--out").out == f"web:0 | {long}\n"
    pieces = [json.loads(line) for line in rook("logs", "-n", "2", "web", "--out", "--json").out.splitlines()]
    assert "".join(piece["message"] for piece in pieces[:-2]) == long
    assert [piece.get("partial", False) for piece in pieces[-4:]] == [True, False, False, False]


def test_following_goes_on_and_finds_new_instances(rook, manager, folder, monkeypatch):
    monkeypatch.setattr(log_files, "ASK_AGAIN", 0)
    pauses = []

    def pause(_seconds):
        # Each step of the story happens while the command has nothing to read.
        pauses.append(1)
        if len(pauses) == 1:
            append(folder / "web-0.o", b"more\n")
        elif len(pauses) == 3:
            manager.sources.append(manager.other)
        elif len(pauses) == 5:
            append(folder / "job-0.o", b"job again\n")
        elif len(pauses) == 6:
            manager.answers["GET", "/v1/logs"] = problem(409, "busy")
        elif len(pauses) == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(logs_command.time, "sleep", pause)
    before = os.listdir("/proc/self/fd")
    ran = rook("logs", "-f", "-n", "1")
    assert (ran.code, ran.err) == (130, "")
    assert ran.out == "oops\nout 19\nmore\njob:0 | job\njob:0 | job again\n"
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == len(before), 20, "the files closed")


def test_following_what_is_deleted_ends_quietly(rook, manager, folder, monkeypatch):
    monkeypatch.setattr(log_files, "ASK_AGAIN", 0)

    def delete(_seconds):
        append(folder / "web-0.o", b"bye\n") if not manager.is_gone else None
        manager.is_gone = True
        manager.answers["GET", "/v1/logs"] = problem(404, "gone", exit_code=3)

    manager.is_gone = False
    monkeypatch.setattr(logs_command.time, "sleep", delete)
    assert rook("logs", "web", "-f", "-n", "1") == (0, "oops\nout 19\nbye\n", "")


def test_lines_that_were_removed_unread_are_told(rook, folder, monkeypatch):
    path = str(folder / "web-0.o")
    pauses = []

    def pause(_seconds):
        pauses.append(1)
        if len(pauses) > 2:
            raise KeyboardInterrupt
        for number in range(5):
            rotate(path, keep=2)
            append(path, b"new %d\n" % number)

    monkeypatch.setattr(logs_command.time, "sleep", pause)
    ran = rook("logs", "-f", "-n", "1", "--out")
    assert ran.out.splitlines()[1:4] == ["new 2", "new 3", "new 4"]
    assert ran.err.startswith("rook: web-0.o: files were rotated away")


class TestCursor:
    def test_every_line_once_over_calls_rotations_and_packing(self, rook, folder, tmp_path):
        cursor, path = str(tmp_path / "cursor"), str(folder / "web-0.o")

        def new():
            return rook("logs", "--out", "-n", "2", "--cursor-file", cursor).out.split("\n")[:-1]

        assert new() == ["out 18", "out 19"]
        assert new() == []
        append(path, b"1\nhal")
        assert new() == ["1"]
        append(path, b"f\n2\n3\n")
        rotate(path)
        append(path, b"4\n")
        rotate(path)
        append(path, b"5\n")
        pack(path, 2)
        assert new() == ["half", "2", "3", "4", "5"]
        assert new() == []

    def test_a_new_app_is_read_from_its_beginning(self, rook, manager, folder, tmp_path):
        cursor = str(tmp_path / "cursor")
        assert rook("logs", "-n", "0", "--cursor-file", cursor).out == ""
        append(folder / "job-0.o", b"2\n3\n")
        manager.sources.append(manager.other)
        assert rook("logs", "-n", "1", "--cursor-file", cursor, "--no-prefix").out == "job\n2\n3\n"

    def test_a_signal_ends_it_between_two_chunks(self, rook, folder, tmp_path, monkeypatch):
        cursor = str(tmp_path / "cursor")
        monkeypatch.setattr(logs_command.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGINT))
        assert rook("logs", "-f", "-n", "1", "--cursor-file", cursor) == (130, "oops\nout 19\n", "")
        assert rook("logs", "--cursor-file", cursor).out == ""
        monkeypatch.setattr(logs_command.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
        assert rook("logs", "-f", "--cursor-file", cursor).code == 143

    def test_a_file_that_is_no_cursor(self, rook, folder, tmp_path):
        (tmp_path / "cursor").write_text("{}")
        ran = rook("logs", "--cursor-file", str(tmp_path / "cursor"))
        assert ran.code == 1
        assert "is no cursor file" in ran.err
        assert (tmp_path / "cursor").read_text() == "{}"
        assert rook("logs", "--cursor-file", "/nowhere/cursor").code == 1


def test_no_manager(rook, home):
    assert rook("logs") == (0, "", f"no manager runs; logs are in {home}/logs\n")
    assert rook("logs", "web").code == 3


def test_no_apps(rook, manager, folder):
    manager.sources = []
    assert rook("logs") == (0, "", "no apps; start one with: rook start app.py\n")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-n", "x"], "no number"),
        (["-n", "-1"], "-n"),
        (["--out", "--err"], "not allowed"),
        (["--color", "blue"], "blue"),
        (["--since", "soon"], "write how long ago"),
        (["--grep", "("], "no regular expression"),
        (["--level", "erorr"], "error"),
        (["-v"], "--grep"),
        (["-f", "--until", "now"], "--until"),
        (["--since", "now", "--until", "1h"], "later"),
    ],
)
def test_wrong_options(rook, argv, text):
    ran = rook("logs", *argv)
    assert ran.code == 2
    assert text in ran.err


def test_a_file_that_may_not_be_read(rook, manager, folder):
    os.unlink(folder / "web-0.o")
    os.mkdir(folder / "web-0.o")
    ran = rook("logs")
    assert ran.code == 1
    assert ran.err.startswith("rook: ")
