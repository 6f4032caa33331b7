"""Completion in the shells themselves: what is offered at a place of a command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fake_manager import problem, row

from capabilities import DEADLINE, needs_fish, needs_zsh
from rookery.cli import main
from rookery.cli.commands.completion import names
from rookery.cli.completion import bash, fish, zsh
from rookery.cli.completion.model import commands
from rookery.testing import wait_until

SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}


@pytest.fixture(scope="module")
def known():
    return commands()


@pytest.fixture
def environ(home, tmp_path):
    """With ``rook`` on PATH, as the scripts call it."""
    bin_folder = os.path.dirname(sys.executable)
    return {"PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "ROOKERY_HOME": home}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "work"
    (place / "server").mkdir(parents=True)
    for name in ("rook.toml", "web.py", "two words.py"):
        (place / name).touch()
    return place


@pytest.fixture
def apps(manager):
    rows = [row(0, name="web"), row(1, name="web", index=1), row(2, name="worker", namespace="shop")]
    manager.answers["GET", "/v1/instances"] = 200, rows


def offered(shell, line, environ, folder, known):
    """What the shell offers for a line, in order."""
    script = folder.parent / f"script.{shell}"
    script.write_text(SCRIPTS[shell].script(known))
    if shell == "fish":
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C {_quoted(line)}"]
    else:
        program = (
            f"source {script}; COMP_LINE={_quoted(line)}; COMP_POINT=${{#COMP_LINE}}; _rook; "
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        command = ["bash", "--norc", "-c", program]
    ran = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.stderr == ""
    return [text.split("\t")[0] for text in ran.stdout.splitlines() if text]


def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS = ["bash", pytest.param("fish", marks=needs_fish)]
LINES = {
    "rook sta": {"start", "status"},
    "rook kil": {"kill"},
    "rook --home server kil": {"kill"},
    "rook --home=server kil": {"kill"},
    "rook start --restart ": {"always", "on-failure", "never"},
    "rook start --restart=on": {"on-failure"},
    "rook up --logs-merge st": {"streams"},
    "rook start web.py --backoff-jitter o": {"on", "off"},
    "rook restart --wai": {"--wait"},
    "rook restart web --wait s": {"settled", "started"},
    "rook completion ": {"bash", "zsh", "fish"},
    "rook help selec": {"selectors"},
    "rook stop w": {"web", "web:0", "web:1", "worker"},
    "rook stop web worker s": {"shop"},
    "rook ls wo": {"worker"},
    "rook show al": {"all"},
    "rook start --cwd s": {"server/"},
    "rook check ro": {"rook.toml"},
    "rook start w": {"web", "web:0", "web:1", "worker", "web.py"},
    "rook stop nothing-like-it": set(),
    "rook ping --js": {"--json"},
    "rook logs web --tai": set(),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line", LINES)
def test_what_is_offered(line, shell, environ, folder, apps, known):
    found = {text.removeprefix("--restart=") for text in offered(shell, line, environ, folder, known)}
    expected = LINES[line]
    if shell == "bash":  # its directories come without a slash; readline adds it
        expected = {text.rstrip("/") for text in expected}
    assert found == expected


def test_bash_replaces_only_what_follows_a_colon(environ, folder, apps, known):
    assert offered("bash", "rook stop web:", environ, folder, known) == ["0", "1"]


def test_bash_after_dashes_offers_files(environ, folder, apps, known):
    assert offered("bash", "rook start -- two", environ, folder, known) == ["two words.py"]


def test_bash_has_it_registered(environ, folder, known):
    script = folder / "script.bash"
    script.write_text(bash.script(known))
    command = ["bash", "--norc", "-c", f"source '{script}' && complete -p rook"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "complete -F _rook rook\n"


@needs_zsh
def test_zsh_takes_the_script(environ, folder, known):
    script = folder / "_rook"
    script.write_text(zsh.script(known))
    check = ["zsh", "-f", "-n", str(script)]
    assert subprocess.run(check, env=environ, capture_output=True, timeout=30, check=False).returncode == 0
    program = f"autoload -Uz compinit; compinit -u -D; source {script}; print $_comps[rook]; functions -T _rook"
    ran = subprocess.run(
        ["zsh", "-f", "-c", program], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.stdout == "_rook\n"


_ZSH_DRIVER = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1="%%"; stty -echo; autoload -Uz compinit; compinit -u -D; source SCRIPT'
zpty -w shell 'zstyle ":completion:*" list-packed no; LISTMAX=0; unsetopt list_beep; print re""ady'
local text
zpty -r -m shell text '*ready*'
zpty -w -n shell $'LINE\t'
zpty -r -m shell text "*EXPECTED*" && print -r -- found
zpty -d shell
"""


@needs_zsh
@pytest.mark.parametrize(
    ("line", "expected"),
    [("rook upgr", "ade"), ("rook stop wor", "ker"), ("rook start --restart on-f", "ailure")],
)
def test_zsh_completes(line, expected, environ, folder, apps, known):
    script = folder / "_rook"
    script.write_text(zsh.script(known))
    program = _ZSH_DRIVER.replace("SCRIPT", str(script)).replace("LINE", line).replace("EXPECTED", expected)
    ran = subprocess.run(
        ["zsh", "-f", "-c", program], env=environ, cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    wait_until(_nobody_is_left, DEADLINE, "the end of the shell on its terminal")
    assert "found" in ran.stdout, ran


def _nobody_is_left():
    """Reap what zsh leaves on its terminal: it comes to us, the subreaper."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


@needs_fish
def test_fish_takes_the_script(environ, folder, known):
    script = folder / "rook.fish"
    script.write_text(fish.script(known))
    check = ["fish", "--no-execute", str(script)]
    ran = subprocess.run(check, env=environ, capture_output=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_and_option_is_in_every_script(rook, shell, known):
    text = rook("completion", shell).out
    assert [one.name for one in known] == list(main.COMMANDS)
    for command in known:
        assert f"{command.name}" in text
        for option in command.options:
            for flag in option.flags:
                shown = flag.lstrip("-") if shell == "fish" else flag
                assert shown in text, f"rook {command.name} {flag}"


def test_names(rook, apps):
    assert rook("completion", "--names") == (0, "web\nworker\nweb:0\nweb:1\ndefault\nshop\nall\n", "")


def test_no_names_without_apps_and_never_an_error(rook, manager):
    manager.answers["GET", "/v1/instances"] = 200, []
    assert rook("completion", "--names") == (0, "\n", "")
    manager.answers["GET", "/v1/instances"] = problem(500, "a defect")
    assert rook("completion", "--names") == (0, "\n", "")


def test_no_manager_is_started_for_names(rook, home):
    assert rook("completion", "--names") == (0, "\n", "")
    assert not os.path.exists(home)
    assert names([]) == []


@pytest.mark.parametrize("argv", [[], ["tcsh"], ["bash", "zsh"], ["--name"]])
def test_wrong_usage(rook, argv):
    assert rook("completion", *argv).code == 2


def test_names_come_quickly(manager):
    program = "import sys; from rookery.cli.main import main; main(); print(*sys.modules, file=sys.stderr)"
    manager.answers["GET", "/v1/instances"] = 200, [row(0)]
    ran = subprocess.run(
        [sys.executable, "-c", program, "completion", "--names"], capture_output=True, text=True, timeout=30, check=True
    )
    assert "web" in ran.stdout
    assert not {"argparse", "msgspec", "asyncio", "typing", "subprocess"} & set(ran.stderr.split())
