"""What rook init finds; and what it writes is always a rook.toml that can be started."""

from __future__ import annotations

import json
import os

import pytest

from rookery.config.discover import Candidate, discover
from rookery.config.template import rook_toml, toml_value
from rookery.config.toml import examine

GUARD = 'if __name__ == "__main__":\n    pass\n'
FOLDERS = {
    "nothing": ({"README.md": "", "data.csv": ""}, {}),
    "a script": ({"app.py": ""}, {"app": {"script": "app.py"}}),
    "main before app": ({"app.py": "", "main.py": ""}, {"main": {"script": "main.py"}}),
    "and a worker": (
        {"main.py": "", "worker.py": ""},
        {"main": {"script": "main.py"}, "worker": {"script": "worker.py"}},
    ),
    "any script": ({"report.py": "", "test_report.py": GUARD}, {"report": {"script": "report.py"}}),
    "the one that runs": ({"lib.py": "", "tool.py": GUARD}, {"tool": {"script": "tool.py"}}),
    "a package": ({"shop/__main__.py": "", "shop/__init__.py": ""}, {"shop": {"module": "shop"}}),
    "asgi": (
        {"main.py": "from fastapi import FastAPI\napi: FastAPI = fastapi.FastAPI(title='x')\n"},
        {"main": {"app": "main:api", "bind": "127.0.0.1:8000"}},
    ),
    "wsgi": (
        {"app.py": "import flask\napp = flask.Flask(__name__)\n"},
        {"app": {"app": "app:app", "bind": "127.0.0.1:8000"}},
    ),
    "a web app that runs itself": ({"app.py": f"app = Flask(__name__)\n{GUARD}"}, {"app": {"script": "app.py"}}),
    "a comment is no app": ({"app.py": "# app = Flask(x)\n"}, {"app": {"script": "app.py"}}),
    "django": (
        {"manage.py": GUARD},
        {"django": {"script": "manage.py", "args": ["runserver", "--noreload", "127.0.0.1:8000"]}},
    ),
    "pyproject, installed": (
        {"pyproject.toml": '[project.scripts]\nshop = "shop.cli:main"\n', ".venv/bin/shop": "#!/bin/sh\n"},
        {"shop": {"command": ["./.venv/bin/shop"]}},
    ),
    "pyproject, not installed": (
        {"pyproject.toml": '[project.scripts]\nshop = "shop:main"\n', "shop/__main__.py": ""},
        {"shop": {"module": "shop"}},
    ),
    "pyproject of a library": ({"pyproject.toml": "[project]\nname = 'x'\n"}, {}),
    "pyproject that is broken": ({"pyproject.toml": "[project\n", "app.py": ""}, {"app": {"script": "app.py"}}),
    "pyproject of another shape": ({"pyproject.toml": "project = 3\n"}, {}),
    "npm start, plain": (
        {"package.json": '{"name": "@me/web", "scripts": {"start": "node server.js --x"}}', "server.js": ""},
        {"web": {"script": "server.js", "args": ["--x"]}},
    ),
    "npm start, anything": (
        {"package.json": '{"name": "web", "scripts": {"start": "tsc && node dist/x.js"}}'},
        {"web": {"command": ["npm", "start"]}},
    ),
    "npm start, with an option": (
        {"package.json": '{"name": "web", "scripts": {"start": "node --inspect x.js"}}', "x.js": ""},
        {"web": {"command": ["npm", "start"]}},
    ),
    "package.json with main": ({"package.json": '{"main": "x.js"}', "x.js": ""}, {"project": {"script": "x.js"}}),
    "package.json alone": ({"package.json": '{"name": "web"}', "index.js": ""}, {"web": {"script": "index.js"}}),
    "package.json broken": ({"package.json": "{", "server.js": ""}, {"server": {"script": "server.js"}}),
    "package.json of another shape": ({"package.json": '{"scripts": 3, "main": [], "name": 7}'}, {}),
    "a list as package.json": ({"package.json": "[]", "app.js": ""}, {"app": {"script": "app.js"}}),
    "a node script": ({"server.js": "", "lib.js": ""}, {"server": {"script": "server.js"}}),
    "python and node": (
        {"package.json": '{"name": "ui", "scripts": {"start": "vite"}}', "main.py": ""},
        {"ui": {"command": ["npm", "start"]}, "main": {"script": "main.py"}},
    ),
    "names that are none": (
        {"package.json": json.dumps({"name": "all", "scripts": {"start": "x"}})},
        {"app-all": {"command": ["npm", "start"]}},
    ),
}


@pytest.fixture
def folder(project):
    def make(files):
        for name in ("python3", "node", "npm"):
            project.program(name)
        for name, text in files.items():
            project.file(name, text, mode=0o755 if "/bin/" in name else 0o644)
        return project.folder

    return make


@pytest.mark.parametrize("case", FOLDERS)
def test_what_is_found(folder, case):
    files, apps = FOLDERS[case]
    assert {one.name: one.keys for one in discover(folder(files))} == apps


@pytest.mark.parametrize("case", [case for case, (_, apps) in FOLDERS.items() if apps])
def test_what_is_written_can_be_started(project, folder, case):
    found = discover(folder(FOLDERS[case][0]))
    path = project.file("rook.toml", rook_toml(found))
    specs, problems = examine(path, environ=project.environ)
    assert problems == []
    assert [spec.name for spec in specs] == [one.name for one in found]


def test_what_stands_in_comments_is_right_too(project, folder):
    text = rook_toml(discover(folder({"app.py": ""})))
    text = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in text.split("\n")
    )
    project.file(".env")
    specs, problems = examine(project.file("rook.toml", text), profile="production", environ=project.environ)
    assert problems == []
    assert (specs[0].instances, specs[0].env["LOG_LEVEL"], specs[0].restart) == (2, "warning", "on-failure")


def test_odd_names_and_values_are_quoted():
    text = rook_toml([Candidate("a.b", {"command": ['x "y"\\', "tab\t", "\x7f", "é"]}, "nobody")])
    assert '[apps."a.b"]' in text
    assert toml_value(["\x7f"]) == '["\\u007f"]'


def test_a_folder_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        discover(os.path.join(tmp_path, "none"))
