"""What in a folder looks like an app: the start of a rook.toml for it. Looks, and runs nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from typing import Any, NamedTuple

from rookery.config.command import shell_mark
from rookery.config.names import as_name

_ENTRIES = ("main.py", "app.py", "server.py", "run.py", "wsgi.py", "asgi.py", "manage.py", "bot.py")
_MORE = ("worker.py", "workers.py", "scheduler.py", "jobs.py")
_NODE_ENTRIES = ("server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "server.cjs")
_WEB = (
    *("FastAPI", "Starlette", "Quart", "Litestar", "Sanic", "Flask", "Bottle"),
    *("get_asgi_application", "get_wsgi_application"),
)
_OBJECT = re.compile(rf"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*({'|'.join(_WEB)})\(", re.MULTILINE)
_GUARD = re.compile(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
_MODULE_FUNCTION = re.compile(r"^([\w.]+):([\w.]+)$")
_MOST_TEXT = 262_144


class Candidate(NamedTuple):
    """An app to be. keys: of rook.toml, with values as TOML has them; why: what it was found by; note: what to look at
    before it is used, or "".
    """

    name: str
    keys: dict[str, Any]
    why: str
    note: str = ""


def discover(folder: str) -> list[Candidate]:
    """The apps of a folder, the surest first, each name once; none where nothing looks like one."""
    names = _names(folder)
    found = [*_from_package_json(folder, names), *_from_pyproject(folder, names), *_from_python(folder, names)]
    if not found:
        found += _from_node_scripts(names)
    unique: dict[str, Candidate] = {}
    for one in found:
        unique.setdefault(one.name, one)
    return list(unique.values())


def _from_package_json(folder: str, names: list[str]) -> list[Candidate]:
    if "package.json" not in names:
        return []
    try:
        package = json.loads(_text(folder, "package.json"))
    except ValueError:
        return []
    if not isinstance(package, dict):
        return []
    scripts = package.get("scripts")
    start = scripts.get("start") if isinstance(scripts, dict) else None
    name = as_name(str(package.get("name") or os.path.basename(folder)).rpartition("/")[2])
    if isinstance(start, str) and start.strip():
        return [Candidate(name, _node_start(folder, start), "scripts.start of package.json")]
    main = package.get("main")
    if isinstance(main, str) and os.path.isfile(os.path.join(folder, main)):
        return [Candidate(name, {"script": main}, "main of package.json")]
    return [one._replace(name=name) for one in _from_node_scripts(names)]


def _node_start(folder: str, start: str) -> dict[str, Any]:
    """``node server.js --x`` is run directly, so that signals reach it; anything else by npm."""
    try:
        program, *words = shlex.split(start)
    except ValueError:
        return {"command": ["npm", "start"]}
    if shell_mark(start) or program != "node" or not words or words[0].startswith("-"):
        return {"command": ["npm", "start"]}
    if not os.path.isfile(os.path.join(folder, words[0])):
        return {"command": ["npm", "start"]}
    return {"script": words[0], **({"args": words[1:]} if words[1:] else {})}


def _from_node_scripts(names: list[str]) -> list[Candidate]:
    entry = next((name for name in _NODE_ENTRIES if name in names), None)
    return [] if entry is None else [Candidate(_stem(entry), {"script": entry}, entry)]


def _from_pyproject(folder: str, names: list[str]) -> list[Candidate]:
    if "pyproject.toml" not in names:
        return []
    try:
        project = tomllib.loads(_text(folder, "pyproject.toml")).get("project", {})
        scripts = project.get("scripts", {})
    except (tomllib.TOMLDecodeError, AttributeError):
        return []
    if not isinstance(scripts, dict):
        return []
    found = []
    for name, target in scripts.items():
        match = _MODULE_FUNCTION.match(str(target))
        if match is None:
            continue
        installed = next(
            (path for path in (f".venv/bin/{name}", f"venv/bin/{name}") if os.path.isfile(os.path.join(folder, path))),
            None,
        )
        if installed is not None:
            found.append(Candidate(as_name(name), {"command": [f"./{installed}"]}, "project.scripts of pyproject.toml"))
        elif _is_runnable(folder, match[1]):
            found.append(Candidate(as_name(name), {"module": match[1]}, "project.scripts of pyproject.toml"))
    return found


def _is_runnable(folder: str, module: str) -> bool:
    """Whether ``python -m module`` does something in this folder: a package's __main__, or a file with a guard."""
    path = os.path.join(*module.split("."))
    if os.path.isfile(os.path.join(folder, path, "__main__.py")):
        return True
    return _GUARD.search(_text(folder, f"{path}.py")) is not None


def _from_python(folder: str, names: list[str]) -> list[Candidate]:
    entry = next((name for name in _ENTRIES if name in names), None)
    found = [_python(folder, entry)] if entry is not None else []
    found += [Candidate(_stem(name), {"script": name}, name) for name in _MORE if name in names]
    if found:
        return found
    packages = [name for name in names if os.path.isfile(os.path.join(folder, name, "__main__.py"))]
    if packages:
        return [Candidate(as_name(name), {"module": name}, f"{name}/__main__.py") for name in packages]
    scripts = [name for name in names if name.endswith(".py") and not name.startswith(("test_", "conftest", "setup"))]
    guarded = [name for name in scripts if _GUARD.search(_text(folder, name))]
    return [Candidate(_stem(name), {"script": name}, name) for name in guarded or scripts[:1]]


def _python(folder: str, entry: str) -> Candidate:
    """A script, or a web application where it only makes one (``app = FastAPI()``)."""
    text = _text(folder, entry)
    if entry == "manage.py":
        args = ["runserver", "--noreload", "127.0.0.1:8000"]
        note = 'Django\'s own server is for development; for more: app = "PROJECT.wsgi:application"'
        return Candidate("django", {"script": entry, "args": args}, entry, note)
    made = _OBJECT.search(text)
    if made is None or _GUARD.search(text):
        return Candidate(_stem(entry), {"script": entry}, entry)
    target = f"{_stem_of(entry)}:{made[1]}"
    why = f"{made[1]} = {made[2]}(...) in {entry}"
    return Candidate(_stem(entry), {"app": target, "bind": "127.0.0.1:8000"}, why)


def _names(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""


def _stem_of(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _stem(name: str) -> str:
    return as_name(_stem_of(name))
