"""The JSON Schema takes what the reader takes, and refuses what it refuses."""

from __future__ import annotations

import re
import tomllib

import pytest

from rookery.config import manual
from rookery.config.keys import APP, DEFAULTS
from rookery.config.reader import Fields
from rookery.config.schema import json_schema, words_of
from rookery.config.spec import AppSpec, MaxRestarts
from rookery.config.toml import examine

TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def fits(value, schema):
    """As much of JSON Schema as ours uses."""
    known = {
        *("$schema", "title", "description", "default", "examples", "type", "enum", "anyOf", "oneOf", "required"),
        *("properties", "additionalProperties", "items", "minItems", "minLength", "minimum", "maximum", "pattern"),
        *("exclusiveMinimum", "exclusiveMaximum"),
    }
    assert set(schema) <= known
    if "type" in schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool) for kind in kinds):
            return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(fits(value, one) for one in schema["oneOf"]) != 1:
        return False
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float):
        below, above = schema.get("exclusiveMinimum", value - 1), schema.get("exclusiveMaximum", value + 1)
        return schema.get("minimum", value) <= value <= schema.get("maximum", value) and below < value < above
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(fits(one, schema.get("items", {})) for one in value)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        return set(schema.get("required", ())) <= set(value) and all(
            fits(one, known[key]) if key in known else others is not False and fits(one, others)
            for key, one in value.items()
        )
    return True


def app(**settings):
    return {"apps": {"web": {"command": ["run"], **settings}}}


@pytest.mark.parametrize("entry", manual.entries(), ids=lambda entry: entry.key)
def test_the_examples_of_the_manual_fit(entry):
    value = tomllib.loads(entry.example)
    ways = {"script", "command", "module", "app"} & value.keys()
    if "apps" not in value:
        value = {"apps": {"web": value if ways else {"command": ["run"], **value}}}
    else:
        value["apps"]["web"]["command"] = ["run"]
    assert fits(value, json_schema())


@pytest.mark.parametrize(
    "settings",
    [
        {"instances": 3},
        {"instances": "max"},
        {"instances": -1},
        {"graceful_timeout": 10},
        {"graceful_timeout": "1m30s"},
        {"graceful_timeout": "1.5h 2m"},
        {"max_restarts": 10},
        {"max_restarts": {"count": 10, "window": "2m"}},
        {"limits": {"memory": "1.5 GiB"}},
        {"env": {"A": 1, "B": True, "C": "x"}},
        {"user": 1000},
        {"stop_signal": "int"},
        {"umask": "022"},
        {"command": "run --fast"},
        {"args": ["--port", 8000]},
        {"bind": ":8000", "balance": "hash", "kind": "node"},
        {"bind": ["127.0.0.1:0", "unix:x.sock"], "linger": 0, "drain_timeout": "1m", "backlog": 1, "max_surge": 2},
        {"bind": "8000", "max_requests": "never", "max_lifetime": "1d", "max_requests_jitter": 0.5},
        {"bind": "8000", "worker_timeout": "never", "request_timeout": 0.5, "start_timeout": "0.5s"},
        {"bind": "8000", "options": {"access_log": True, "threads": 8, "log_level": "info"}},
    ],
)
def test_what_is_right(project, settings):
    project.program("run")
    assert fits(app(**settings), json_schema())


WRONG = {
    "unknown": "instance = 2",
    "word": "restart = 'sometimes'",
    "zero": "instances = 0",
    "type": "instances = 'many'",
    "duration": "graceful_timeout = '10 parsecs'",
    "negative": "graceful_timeout = -1",
    "two numbers": "graceful_timeout = '10 20'",
    "size": "limits = { memory = '1X' }",
    "nested": "backoff = { bse = 1 }",
    "factor": "backoff = { factor = 0.5 }",
    "table": "env = 'A=1'",
    "list": "args = '--port'",
    "exit code": "ok_exit_codes = [256]",
    "no count": "max_restarts = { window = '1m' }",
    "flag": "readiness = { notify = 'yes' }",
    "two ways": "script = 'run'",
    "an app and a command": "app = 'shop:app'",
    "no place": "bind = []",
    "no number": "bind = 8000",
    "no balance": "bind = '8000'\nbalance = 'random'",
    "no kind": "bind = '8000'\nkind = 'php'",
    "no surge": "bind = '8000'\nmax_surge = 0",
    "no backlog": "bind = '8000'\nbacklog = 0",
    "no requests": "bind = '8000'\nmax_requests = 0",
    "the other word": "bind = '8000'\nmax_requests = 'none'",
    "no share": "bind = '8000'\nmax_requests_jitter = 1",
    "no time": "bind = '8000'\nworker_timeout = '0 s'",
    "no time in numbers": "bind = '8000'\nstart_timeout = 0",
    "not never": "bind = '8000'\nstart_timeout = 'never'",
    "no option": "bind = '8000'\noptions = { access_log = ['x'] }",
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_for_the_reader_is_wrong_for_the_schema(project, case):
    project.program("run")
    text = f"[apps.web]\ncommand = ['run']\n{WRONG[case]}\n"
    assert examine(project.file("rook.toml", text), environ=project.environ).problems
    assert not fits(tomllib.loads(text), json_schema())


@pytest.mark.parametrize(
    "text", ["", "[defaults]\n", "[apps.web]\n", "[aps.web]\n", "[defaults]\nscript = 'x'\n[apps.w]\ncommand='x'\n"]
)
def test_whole_files_that_are_wrong(text):
    assert not fits(tomllib.loads(text), json_schema()) or text == "[apps.web]\n"


def test_every_key_says_what_it_takes_and_what_it_is():
    def bare(schema, path=""):
        for key, one in schema.get("properties", {}).items():
            if not {"type", "anyOf", "enum"} & one.keys():
                yield f"{path}{key}: {one}"
            if "properties" not in one and "description" not in one and "env_profiles" not in path + key:
                described = "anyOf" in one and any("properties" in part for part in one["anyOf"])
                if not described:
                    yield f"{path}{key}: no description"
            yield from bare(one, f"{path}{key}.")

    tables = json_schema()["properties"]
    assert list(bare(tables["apps"]["additionalProperties"])) == []
    assert list(bare(tables["defaults"])) == []
    assert tables["apps"]["additionalProperties"]["properties"].keys() == APP.known.keys()
    assert tables["defaults"]["properties"].keys() == DEFAULTS.known.keys()


def test_the_manual_names_every_key_once():
    keys = [
        f"{key}.{part}" if part else key
        for key, kind in APP.known.items()
        for part in (kind.known if isinstance(kind, Fields) else ("",))
    ]
    assert sorted(entry.key for entry in manual.entries()) == sorted(keys)


def defaults():
    for entry in manual.entries():
        try:
            yield entry.key, tomllib.loads(f"value = {entry.default.strip('`')}")["value"]
        except tomllib.TOMLDecodeError:
            continue


@pytest.mark.parametrize(("key", "shown"), list(defaults()))
def test_the_defaults_of_the_manual_are_those_of_an_app(key, shown):
    spec = AppSpec(name="web", command=("run",), cwd="/", max_restarts=MaxRestarts(count=1))
    if key in ("args", "env_profiles"):  # not part of an AppSpec: empty is none
        assert not shown
        return
    table, _, part = key.partition(".")
    kind = APP.known[table].known[part] if part else APP.known[table]
    converted = kind.convert(shown) if hasattr(kind, "convert") else shown
    value = getattr(getattr(spec, table), part) if part else getattr(spec, table)
    assert converted == value


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("restart",), ("always", "never", "on-failure")),
        (("backoff", "jitter"), ("on", "off")),
        (("name",), ()),
        (("nothing",), ()),
    ],
)
def test_words_of(path, words):
    assert words_of(path) == words
