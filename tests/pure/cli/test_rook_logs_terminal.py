"""What reaches a person's terminal, and who may read a lot with few descriptors."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "logs"))

from written import append

import rookery
from rookery.cli.terminal_text import tamed, without_colours
from rookery.testing import wait_until


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"plain\ttext\n", b"plain\ttext\n"),
        ("grüße ✓\n".encode(), "grüße ✓\n".encode()),
        (b"\x1b[1;31mred\x1b[0m\n", b"\x1b[1;31mred\x1b[0m\n"),
        (b"\x1b[38:2::1:2:3mx\n", b"\x1b[38:2::1:2:3mx\n"),
        (b"a\x1b[2J\x1b[1;1Hb\x1b[?25lc\n", b"abc\n"),
        (b"a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\n", b"abc\n"),
        (b"a\x1b]52;c;unended\nb\n", b"a\nb\n"),
        (b"a\x1bPq#0\x1b\\b\x1bcc\x1b(0d\x1b7e\n", b"abcde\n"),
        (b"a\x1b", b"a"),
        (b"10%\r20%\r\n", b"10%^M20%\n"),
        (b"a\x08\x07\x00\x7fb\n", b"a^H^G^@^?b\n"),
        (b"a\xff\xc2\x9b2Jb\n", "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}2Jb\n".encode()),
        (b"\x9b2J", "\N{REPLACEMENT CHARACTER}2J".encode()),
    ],
)
def test_what_could_confuse_a_terminal_is_made_harmless(data, expected):
    assert tamed(data, colours=True) == expected


def test_colours_can_be_removed():
    assert tamed(b"\x1b[31mred\x1b[0m\n", colours=False) == b"red\n"
    assert without_colours(b"\x1b[31mred\x1b[0m \x1b[2J\n") == b"red \x1b[2J\n"


@pytest.fixture
def one_app(tmp_path, manager):
    path = tmp_path / "web.log"
    manager.answers["GET", "/v1/logs"] = 200, [{"id": 0, "name": "web", "index": 0, "out": str(path), "err": str(path)}]
    return path


def on_terminal(*argv):
    """What the command writes to a terminal."""
    main, side = pty.openpty()
    try:
        environ = {**os.environ, "TERM": "xterm"}
        subprocess.run([sys.executable, "-m", "rookery", *argv], stdout=side, env=environ, timeout=30, check=True)
        return os.read(main, 65536).replace(b"\r\n", b"\n")
    finally:
        os.close(main)
        os.close(side)


def test_on_a_terminal(one_app):
    one_app.write_bytes(b"\x1b[31mred\x1b[2J\nnext\n")
    assert on_terminal("logs") == b"\x1b[31mred\x1b[0m\nnext\x1b[0m\n"
    assert on_terminal("logs", "--color", "never") == b"red\nnext\n"
    assert b"\x1b[2J" in on_terminal("logs", "--raw")


def test_a_reader_that_leaves_ends_it_without_a_word(one_app):
    one_app.write_bytes(b"1\n2\n3\n")
    command = [sys.executable, "-m", "rookery", "logs", "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout.readline() == b"1\n"
        following.stdout.close()
        assert following.wait(20) == 0, "although nothing more is written"
        assert following.stderr.read() == b""


@pytest.mark.parametrize("hard", [1024, 120])
def test_more_files_than_descriptors(tmp_path, manager, hard):
    """The soft limit is raised; where that is not allowed files are read by turns."""
    paths = [str(tmp_path / f"{number}.log") for number in range(200)]
    for path in paths:
        append(path, b"first\n")
    manager.answers["GET", "/v1/logs"] = (
        200,
        [{"id": 0, "name": f"app{number}", "index": 0, "out": path, "err": path} for number, path in enumerate(paths)],
    )
    program = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard})); "
        "from rookery.cli.main import main; sys.exit(main(['logs', '-f', '--no-prefix']))"
    )
    out = tmp_path / "out"
    with open(out, "wb") as file, subprocess.Popen([sys.executable, "-c", program], stdout=file) as following:
        try:
            wait_until(lambda: out.read_bytes().count(b"first\n") == 200, 20, "the last lines of all files")
            for path in paths:
                append(path, b"second\n")
            wait_until(lambda: out.read_bytes().count(b"second\n") == 200, 20, "what came in all files")
            assert out.read_bytes().count(b"\n") == 400
        finally:
            following.terminate()


def test_little_is_imported(one_app):
    one_app.write_bytes(b"1\n")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from rookery.cli.main import main; main(['logs']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(rookery.__file__)))
    command = [sys.executable, "-S", "-c", program, root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    heavy = {
        "asyncio",
        "dataclasses",
        "http",
        "inspect",
        "msgspec",
        "psutil",
        "rich",
        "subprocess",
        "tempfile",
        "urllib",
    }
    assert heavy & set(done.stderr.split()) == set()
    assert done.stdout == "1\n"
