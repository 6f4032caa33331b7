from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from rookery.config import interpreter
from rookery.config.interpreter import how_to_run, python_for, with_unbuffered_output
from rookery.config.lookup import Surroundings
from rookery.config.report import BadValue
from rookery.config.shebang import is_python, read_shebang


def around(project, cwd=None, **more):
    environ = {**project.environ, **more}
    return Surroundings(cwd or project.folder, project.folder, environ, environ["PATH"])


@pytest.mark.parametrize(
    ("file", "program", "expected"),
    [
        ("a.js", "node", ["node", "SCRIPT"]),
        ("a.cjs", "node", ["node", "SCRIPT"]),
        ("a.mjs", "node", ["node", "SCRIPT"]),
        ("a.sh", "sh", ["sh", "SCRIPT"]),
        ("a.rb", "ruby", ["ruby", "SCRIPT"]),
        ("a.pl", "perl", ["perl", "SCRIPT"]),
        ("a.php", "php", ["php", "SCRIPT"]),
        ("a.R", "Rscript", ["Rscript", "SCRIPT"]),
        ("a.jar", "java", ["java", "-jar", "SCRIPT"]),
        ("a.py", "python3", ["python3", "SCRIPT"]),
        ("a.PY", "python3", ["python3", "SCRIPT"]),
    ],
)
def test_by_extension(project, file, program, expected):
    found = project.program(program)
    script = project.file(file)
    words = {"SCRIPT": script, program: found}
    assert how_to_run(script, around(project)) == tuple(words.get(word, word) for word in expected)


@pytest.mark.parametrize(
    ("file", "first", "mode", "expected"),
    [
        ("a.sh", "#!/bin/sh -e", 0o755, ["SCRIPT"]),
        ("a.sh", "#!/bin/sh -e", 0o644, ["/bin/sh", "-e", "SCRIPT"]),
        ("a.sh", "#! /bin/sh", 0o644, ["/bin/sh", "SCRIPT"]),
        ("run", "#!/bin/sh", 0o755, ["SCRIPT"]),
        ("run", "#!/usr/bin/env tool", 0o755, ["SCRIPT"]),
        ("run", "#!/usr/bin/env -S tool -x", 0o644, ["/usr/bin/env", "-S tool -x", "SCRIPT"]),
        ("a.js", "#!/usr/bin/env -S A=1 tool", 0o755, ["SCRIPT"]),
        ("binary", "\x7fELF", 0o755, ["SCRIPT"]),
    ],
)
def test_by_shebang(project, file, first, mode, expected):
    project.program("tool")
    script = project.file(file, first + "\n", mode=mode)
    found = how_to_run(script, around(project))
    assert found == tuple(script if word == "SCRIPT" else word for word in expected)


@pytest.mark.parametrize(
    ("file", "first", "says"),
    [
        ("a.js", "", "'a.js' needs 'node', which is not on PATH"),
        ("run", "#!/usr/bin/env node", "'run' needs 'node', which is not on PATH"),
        ("run", "#!/gone/tool", "wants to be run by /gone/tool, which is not there"),
        ("run", "#!/usr/bin/env /gone/tool", "wants to be run by /gone/tool, which is not there"),
        ("data.txt", "", "nothing says how to run 'data.txt'"),
        ("a.py", "", "there is no Python"),
    ],
)
def test_what_cannot_be_run(project, file, first, says):
    script = project.file(file, first)
    with pytest.raises(BadValue, match=says) as caught:
        how_to_run(script, around(project))
    assert caught.value.hint


def test_a_missing_interpreter_names_the_nearest_on_path(project):
    project.program("nodejs")
    with pytest.raises(BadValue) as caught:
        how_to_run(project.file("a.js"), around(project))
    assert caught.value.hint == "did you mean nodejs?"


PLACES = ["active/bin/python", ".venv/bin/python", "venv/bin/python", "../.venv/bin/python", "PATH"]


@pytest.mark.parametrize("gone", range(len(PLACES)))
def test_pythons_are_tried_in_this_order(project, gone):
    """The first `gone` places are missing; the next one is taken."""
    found = [project.program("python3" if name == "PATH" else f"./{name}") for name in PLACES]
    for path in found[:gone]:
        os.unlink(path)
    where = around(project, VIRTUAL_ENV=f"{project.folder}/active")
    assert python_for(project.file("web.py"), where) == found[gone]


@pytest.mark.parametrize(
    ("virtualenv", "script", "cwd", "is_found"),
    [
        ("sub", "sub/web.py", ".", True),
        (".", "sub/deep/web.py", "other", True),
        ("other", "sub/web.py", "other", True),
        ("other", "sub/web.py", ".", False),
        ("..", "sub/web.py", ".", True),
        ("../..", "sub/web.py", ".", False),
        ("../../..", "sub/web.py", ".", False),
    ],
    ids=["beside", "above", "cwd", "elsewhere", "above-project", "home-is-the-end", "above-home"],
)
def test_where_a_virtualenv_is_looked_for(project, virtualenv, script, cwd, is_found):
    fallback = project.program("python3")
    python = project.program(f"./{virtualenv}/.venv/bin/python")
    folder = os.path.join(project.folder, cwd)
    os.makedirs(folder, exist_ok=True)
    found = python_for(project.file(script), around(project, cwd=os.path.normpath(folder)))
    assert found == (python if is_found else fallback)


def test_a_script_in_the_home_itself_has_the_virtualenv_there(project):
    python = project.program("../../.venv/bin/python")
    project.file("../../web.py")
    where = around(project, cwd=project.home)
    assert python_for(f"{project.home}/web.py", where) == python == f"{project.home}/.venv/bin/python"


def test_an_active_virtualenv_that_is_gone_is_passed_over(project):
    python = project.program("./venv/bin/python")
    assert python_for(project.file("web.py"), around(project, VIRTUAL_ENV="/gone")) == python


def test_a_strangers_virtualenv_is_not_run(project, monkeypatch):
    fallback = project.program("python3")
    project.program("./.venv/bin/python")
    script = project.file("sub/web.py")
    real = os.stat

    def stat(path, *args, **options):
        result = real(path, *args, **options)
        uid = 4242 if str(path).endswith(".venv") else os.geteuid()
        return SimpleNamespace(st_uid=uid, st_mode=result.st_mode)

    monkeypatch.setattr(interpreter.os, "stat", stat)
    assert python_for(script, around(project)) == fallback


@pytest.mark.parametrize(
    ("first", "virtualenv", "expected"),
    [
        ("#!/usr/bin/env python3", True, ".venv/bin/python"),
        ("#!/usr/bin/env -S python3 -u", True, ".venv/bin/python"),
        ("#!/usr/bin/python3", True, ".venv/bin/python"),
        ("#!OWN", True, "own/bin/python3.12"),
        ("#!OWN", False, "own/bin/python3.12"),
        ("#!/gone/python3", True, ".venv/bin/python"),
        ("#!/usr/bin/env python3.12", False, "python3.12"),
        ("#!/usr/bin/env python3.99", False, "python3"),
        ("#!/bin/sh", False, "python3"),
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_the_shebang_of_a_python_script(project, first, virtualenv, expected, mode):
    project.program("python3")
    project.program("python3.12")
    own = project.program("./own/bin/python3.12")
    if virtualenv:
        project.program("./.venv/bin/python")
    script = project.file("web.py", first.replace("OWN", own) + "\n", mode=mode)
    wanted = os.path.join(project.folder if "/" in expected else project.bin, expected)
    assert how_to_run(script, around(project)) == (wanted, script)


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        ("python", "", True),
        ("python3.12", "", True),
        ("python3.13t", "", True),
        ("pypy3", "", True),
        ("python-config", "", False),
        ("uvicorn", "#!/srv/venv/bin/python", True),
        ("celery", "#!/usr/bin/env python3", True),
        ("tool", "#!/bin/sh", False),
        ("tool", "#!", False),
        ("binary", "\x7fELF", False),
    ],
)
def test_what_is_python(project, name, first, expected):
    assert is_python(project.file(name, first + "\n")) is expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [({}, "1"), ({"PYTHONUNBUFFERED": "0"}, "0"), ({"PYTHONUNBUFFERED": ""}, "")],
)
def test_unbuffered_output(env, expected):
    assert with_unbuffered_output(("/usr/bin/python3", "x"), env)["PYTHONUNBUFFERED"] == expected
    assert with_unbuffered_output(("/bin/sh", "x"), env) == env


def test_no_shebang_in_what_cannot_be_read(project):
    assert read_shebang(project.folder) is None
    assert read_shebang("/gone") is None
