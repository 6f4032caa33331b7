from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fake_manager import FakeManager, row

from rookery import __version__
from rookery.cli.main import COMMANDS, main
from rookery.errors import ConfigError, RookeryError


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_overview(rook, argv):
    ran = rook(*argv)
    assert ran.code == 0
    assert ran.out.index("rook start app.py") < ran.out.index("Commands:")
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_first(rook, name):
    ran = rook(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.index(f"  rook {name}") < ran.out.index("options:")
    assert rook("help", name).out.startswith(ran.out)
    options = ran.out[ran.out.index("options:") :].split("\n  -")[1:]
    assert options
    assert [text for text in options if "default:" not in " ".join(text.split()) and "show this help" not in text] == []


def test_version(rook):
    assert rook("--version") == (0, f"rook {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["strat"], "rook: there is no command 'strat'\nhint: did you mean start?\n"),
        (["xyzzy"], "rook: there is no command 'xyzzy'\nhint: see: rook --help\n"),
        (["--verison"], "rook: there is no option '--verison'\nhint: see: rook --help\n"),
        (["--home"], "rook: --home needs a folder\nhint: rook --home DIR list\n"),
        (["help", "nothing"], "rook: there is no command and no topic 'nothing'\nhint: see: rook help\n"),
        (["help", "selector"], "rook: there is no command and no topic 'selector'\nhint: did you mean selectors?\n"),
    ],
)
def test_wrong_command_lines(rook, argv, text):
    assert rook(*argv) == (2, "", text)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RookeryError("it broke"), 1, "rook: it broke\n"),
        (RookeryError("it broke", why="because", hint="mend it"), 1, "rook: it broke\n  because\nhint: mend it\n"),
        (ConfigError("wrong", file="rook.toml", line=3, key="apps.x"), 2, "rook: rook.toml:3: apps.x: wrong\n"),
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "/root/x"), 1, "rook: Permission denied\n  /root/x\n"),
    ],
)
def test_errors(rook, monkeypatch, error, code, text):
    def fail(_argv):
        raise error

    monkeypatch.setattr("rookery.cli.commands.list.run", fail)
    assert rook("list") == (code, "", text)


@pytest.mark.parametrize("argv", [["--home", "{}", "list"], ["--home={}", "list"]])
def test_home_option(rook, tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    with FakeManager(tmp_path / "other") as other:
        other.answers["GET", "/v1/instances"] = 200, [row(name="elsewhere")]
        ran = rook(*[word.format("other") for word in argv])
    assert "elsewhere" in ran.out
    assert os.environ["ROOKERY_HOME"] == str(tmp_path / "other")


def test_the_hot_path_imports_next_to_nothing(manager):
    manager.answers["GET", "/v1/instances"] = 200, [row()]
    forbidden = {
        *("argparse", "asyncio", "contextlib", "dataclasses", "http", "inspect", "msgspec", "pathlib", "psutil"),
        *("rich", "shlex", "subprocess", "tempfile", "typing", "urllib"),
    }
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from rookery.cli.main import main; main(sys.argv[2:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["rookery.cli"].__file__))))
    # -S: what a .pth file of some other package imports is none of our doing.
    for argv in (["list"], ["list", "--json", "web"], ["ping"], ["ping", "--json"]):
        done = subprocess.run(
            [sys.executable, "-S", "-c", program, root, *argv], capture_output=True, text=True, timeout=30, check=True
        )
        assert forbidden & set(done.stderr.split()) == set(), argv
        assert done.stdout


def test_a_reader_that_leaves_is_no_disaster(manager):
    manager.answers["GET", "/v1/instances"] = 200, [row(number) for number in range(3000)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rookery", "list"], stdout=writing, stderr=subprocess.PIPE, timeout=30, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_that_knows_no_unicode(manager):
    manager.answers["GET", "/v1/instances"] = 200, [row()]
    done = subprocess.run(
        [sys.executable, "-m", "rookery", "list"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"state" in done.stdout


def test_main_takes_sys_argv(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rook", "--version"])
    assert main() == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("words", [["ping"], ["list"], ["restart", "all"]])
def test_a_home_that_is_no_folder(rook, tmp_path, monkeypatch, words):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROOKERY_HOME", str(tmp_path / "file"))
    ran = rook(*words)
    assert ran.code == 1
    assert ran.err.splitlines() == [
        f"rook: the home {tmp_path / 'file'} is no folder",
        "hint: choose another one with: rook --home DIR",
    ]
    assert (tmp_path / "file").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is of Linux")
def test_help_that_nobody_can_write_down():
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "rookery", "start", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (ran.returncode, ran.stderr) == (1, b"rook: No space left on device\n")
