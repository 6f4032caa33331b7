"""The reference page names every key, and its example works."""

from __future__ import annotations

import os
import re

import pytest

from rookery.config.contradictions import CLUSTER_KEYS
from rookery.config.keys import APP, FILE
from rookery.config.reader import Fields
from rookery.config.toml import load_file

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "reference", "config.md")


def page():
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


def keys():
    for key, kind in APP.known.items():
        if isinstance(kind, Fields):
            yield from (f"{key}.{part}" for part in kind.known)
        else:
            yield key


@pytest.mark.parametrize("key", sorted(keys()))
def test_every_key_has_a_row(key):
    assert re.search(rf"^\| `{re.escape(key)}` \|", page(), re.MULTILINE)


def test_every_row_is_a_key():
    rows = re.findall(r"^\| `([a-z_.]+)` \|", page(), re.MULTILINE)
    assert sorted(rows) == sorted(keys())


def test_keys_for_later_are_named():
    end = page().split('refused with "not supported yet"')[1]
    tables = {key: kind for key, kind in APP.known.items() if isinstance(kind, Fields)}
    named = {*re.findall(r"`([a-z_.]+)`", end)}
    assert named == APP.later | FILE.later | {f"{table}.{key}" for table, kind in tables.items() for key in kind.later}


@pytest.mark.parametrize("row", re.findall(r"^\| `[a-z_.]+` \|.* \| `([^`]+)` \|$", page(), re.MULTILINE))
def test_the_example_of_each_row_is_accepted(project, row):
    project.program("run")
    project.program("python3")
    for name in ("web.py", "server/web.py", "bin/worker", ".venv/bin/python"):
        project.file(name, mode=0o755)
    project.file(".env")
    way = "" if row.startswith(("script", "command", "module", "app")) else "command = 'run'\n"
    way = "app = 'shop:app'\n" if row.split()[0] in CLUSTER_KEYS else way
    way = "module = 'pkg'\n" if row.startswith("interpreter") else way
    path = project.file("rook.toml", f"[apps.web]\n{way}{row}\n")
    assert load_file(path, environ=project.environ)


def test_the_first_example_is_accepted(project):
    project.program("python3")
    project.file("web.py")
    project.program("./bin/worker")
    example = re.findall(r"```toml\n(.*?)```", page(), re.DOTALL)[0]
    specs = load_file(project.file("rook.toml", example), profile="production", environ=project.environ)
    assert [(spec.name, spec.instances) for spec in specs] == [("web", 2), ("worker", 1)]
