"""What fork() makes of a target, and the small parts."""

from __future__ import annotations

import os
import sys

import pytest

from rookery.errors import LinkError, SpawnError, UsageError
from rookery.process.stdio import DISCARD, INHERIT, PIPE, STDOUT, Tee, tee
from rookery.worker import inherited, words
from rookery.worker.function import find
from rookery.worker.tail import Tail, pass_on, with_tail
from rookery.worker.targets import target_of


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("worker.py", "worker.js", "Worker.MJS", "worker.rb", "a:b.py"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "start"),
    [
        ("worker.py", "python", sys.executable),
        ("worker.js", "node", "node"),
        ("Worker.MJS", "node", "node"),
        ("a:b.py", "python", sys.executable),
    ],
)
def test_files(files, name, kind, start):
    if name == "a:b.py":
        name = "./a:b.py"  # else it is the attribute py of b
    target = target_of(name, args=["x"], interpreter_args=["-v"])
    assert (target.kind, target.argv) == (kind, (start, "-v", name, "x"))
    assert target_of(files / name, interpreter="/opt/it").argv[0] == "/opt/it"


def test_functions():
    target = target_of("shop.jobs:Mail.send", args=["x"])
    assert target.kind == "function"
    assert target.argv[0] == sys.executable
    assert target.argv[-2:] == ("shop.jobs:Mail.send", "x")
    with pytest.raises(UsageError, match="__main__"):
        target_of("__main__:main")


def test_what_is_no_target(files):
    for name in ("worker.rb", "worker", "pkg.mod", ":main", "pkg.mod:", "a b:c"):
        with pytest.raises(UsageError, match="a worker is"):
            target_of(name)
    assert target_of("worker.rb", interpreter="ruby").kind == "program"
    with pytest.raises(SpawnError, match=r"no file 'gone\.py'"):
        target_of("gone.py")
    with pytest.raises(SpawnError, match="no file"):
        target_of("worker.py", cwd="/")


def test_the_tail_keeps_the_end():
    tail = Tail(10)
    for piece in (b"abcdef", b"ghi\n", b"jkl\n", b"x" * 3 + b"\n"):
        tail.take(piece)
    assert tail.text == "i\njkl\nxxx\n"
    assert tail.lines(2) == ["jkl", "xxx"]
    tail.take(b"0123456789" * 1000)
    assert tail.text == "0123456789"
    assert sum(map(len, tail._chunks)) == 10


def test_where_an_output_goes_beside_the_tail(tmp_path):
    tail = Tail()
    assert with_tail(None, tail).targets == (pass_on, tail.take)
    assert with_tail(PIPE, tail).targets == (PIPE, tail.take)
    assert with_tail(DISCARD, tail) == tail.take
    assert with_tail(tee(PIPE, INHERIT), tail).targets == (PIPE, INHERIT, tail.take)
    assert isinstance(with_tail(lambda _: None, tail), Tee)
    with open(os.devnull, "wb") as file:
        for alone in (STDOUT, 3, "file", tmp_path, file):
            assert with_tail(alone, tail) is alone


def test_what_is_said_is_passed_on_and_a_full_stderr_is_nobodys_end(capfd):
    pass_on(b"one\n")
    assert capfd.readouterr().err == "one\n"
    read, write = os.pipe()
    kept = os.dup(2)
    try:
        os.set_blocking(write, False)
        os.dup2(write, 2)
        pass_on(b"x" * 1_000_000)  # more than it takes
        os.close(read)
        pass_on(b"two\n")  # nobody is there
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(write)


def test_the_welcome():
    assert words.welcomed(words.welcome([1], exit_on_disconnect=False)) == ([1], False)
    for message in (None, [], {"type": "x"}, words.ready(1)):
        with pytest.raises(LinkError, match="welcome"):
            words.welcomed(message)
    with pytest.raises(LinkError, match="version 2"):
        words.welcomed({**words.welcome(None, exit_on_disconnect=True), "version": 2})


def test_no_parent_or_a_wrong_number(monkeypatch):
    with pytest.raises(UsageError, match="no channel to its parent"):
        inherited.take()
    read, write = os.pipe()
    try:
        for number in (str(read), "999", "-1", "x"):
            os.environ[words.FD] = number
            with pytest.raises(UsageError, match="is no channel"):
                inherited.take()
            assert words.FD not in os.environ
        os.environ.update({words.NODE_FD: "5", words.NODE_MODE: "advanced"})
        with pytest.raises(UsageError, match="'advanced'"):
            inherited.take()
        os.fstat(read)  # it is still open
    finally:
        os.close(read)
        os.close(write)


def test_finding_a_function():
    assert find("os.path:join") is os.path.join
    assert find("collections:OrderedDict.fromkeys")([1]) == {1: None}
    for name in ("os:nothing", "os:path.nothing", "os:sep"):
        with pytest.raises(UsageError, match="os has no function"):
            find(name)
