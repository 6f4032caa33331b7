"""The JSON Schema of rook.toml, for editors: from the same description of keys that reads the file.

What a key takes is told by its converter where people may write it in several ways (a duration, a size), else by the
type of its field in AppSpec.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from msgspec import inspect

from rookery.config import listening, manual, server_options, system_values, values
from rookery.config.command import attribute_name, command_words, module_name
from rookery.config.keys import FILE
from rookery.config.reader import Each, Fields, Kind, Scalar
from rookery.config.spec import AppSpec

_TEXT = {"type": "string", "minLength": 1}
_DURATION = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?(ms|s|m|h|d)\s*)+)\s*$"},
    ]
}
_ABOVE_ZERO = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^(?=.*[1-9])\s*(\d+(\.\d+)?|(\d+(\.\d+)?(ms|s|m|h|d)\s*)+)\s*$"},
    ]
}
_FROM_ONE = {"type": "integer", "minimum": 1}
_NEVER = {"enum": [values.NEVER]}
_SIZE = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[KMGTkmgt]?([Ii]?[Bb])?\s*$"},
    ]
}
_ID = {"type": ["string", "integer"], "minimum": 0}
_WORDS = {"type": "array", "items": {"type": ["string", "integer"]}}
_BY_CONVERTER: dict[object, dict[str, Any]] = {
    attribute_name: {"type": "string", "pattern": r"^[^\W\d][\w.]*:[^\W\d][\w.]*$"},
    command_words: {"anyOf": [_TEXT, {**_WORDS, "minItems": 1}]},
    listening.binds: {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
    module_name: _TEXT,
    server_options.option: {"type": ["string", "number", "boolean"]},
    system_values.exit_codes: {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
    system_values.instances: {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 10000}, {"enum": ["max", "half", -1]}]
    },
    system_values.name_or_number: _ID,
    system_values.signal_name: {"type": ["string", "integer"]},
    system_values.umask: {"anyOf": [{"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"}, {"type": "integer"}]},
    system_values.variable: {"type": ["string", "number", "boolean"]},
    values.arguments: _WORDS,
    values.count_limit: {"anyOf": [_FROM_ONE, _NEVER]},
    values.duration: _DURATION,
    values.duration_above_zero: _ABOVE_ZERO,
    values.factor: {"type": "number", "minimum": 1, "maximum": 1_000_000},
    values.flag: {"type": "boolean"},
    values.share: {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    values.size: _SIZE,
    values.size_above_zero: _SIZE,
    values.text: _TEXT,
    values.time_limit: {"anyOf": [*_ABOVE_ZERO["anyOf"], _NEVER]},
    values.whole_above_zero: _FROM_ONE,
    values.whole_seconds: _DURATION,
}


def json_schema() -> dict[str, Any]:
    """The schema of a whole file, by the rules of draft 2020-12."""
    schema = _fields(FILE, ())
    app = schema["properties"]["apps"]["additionalProperties"]
    app["oneOf"] = [{"required": [way]} for way in ("script", "command", "module", "app") if way in app["properties"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rook.toml",
        "description": "The apps of a project, for rook start",
        **schema,
        "required": ["apps"],
    }


def _schema(kind: Kind, path: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(kind, Fields):
        return _fields(kind, path)
    if isinstance(kind, Each):
        inner = _schema(kind.kind, (*path, "*") if path else ())
        return _described({"type": "object", "additionalProperties": inner}, ".".join(path))
    return _described(dict(_scalar(kind, path)), ".".join(path))


def _fields(kind: Fields, path: tuple[str, ...]) -> dict[str, Any]:
    properties = {key: _schema(one, _below(path, key, kind)) for key, one in kind.known.items()}
    table = {"type": "object", "additionalProperties": False, "properties": properties}
    if kind.shorthand is None:
        return table
    return {"anyOf": [properties[kind.shorthand], {**table, "required": [kind.shorthand]}]}


def _below(path: tuple[str, ...], key: str, kind: Fields) -> tuple[str, ...]:
    """The path of a key seen from its app, as AppSpec and the manual name it."""
    return () if kind is FILE else (*path, key)


def _scalar(kind: Scalar, path: tuple[str, ...]) -> dict[str, Any]:
    known = _BY_CONVERTER.get(kind.convert)
    return _of_type(_spec_type(path)) if known is None else known


def _spec_type(path: tuple[str, ...]) -> inspect.Type:
    found: inspect.Type = inspect.type_info(AppSpec)
    for key in path:
        options = found.types if isinstance(found, inspect.UnionType) else (found,)
        struct = next((one for one in options if isinstance(one, inspect.StructType)), None)
        if struct is None:
            return inspect.AnyType()
        found = next((field.type for field in struct.fields if field.name == key), inspect.AnyType())
    return found


def _of_type(found: inspect.Type) -> dict[str, Any]:
    if isinstance(found, inspect.UnionType):
        options = [_of_type(one) for one in found.types if not isinstance(one, inspect.NoneType)]
        return options[0] if len(options) == 1 else {"anyOf": options}
    if isinstance(found, inspect.LiteralType):
        return {"enum": sorted(found.values, key=str)}
    plain: dict[type[inspect.Type], dict[str, Any]] = {
        inspect.BoolType: {"type": "boolean"},
        inspect.FloatType: {"type": "number"},
        inspect.IntType: {"type": "integer", "minimum": 0},
        inspect.StrType: {"type": "string"},
    }
    return plain.get(type(found), {})


def _described(schema: dict[str, Any], key: str) -> dict[str, Any]:
    entry = next((one for one in manual.entries() if one.key == key), None)
    if entry is None:
        return schema
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", entry.meaning).replace("`", "").replace("\\", "")
    schema = {"description": text[:1].upper() + text[1:], **schema}
    default = _toml(f"default = {entry.default.strip('`')}", "default")
    example = _toml(entry.example, *entry.key.split("."))
    if default is not None:
        schema["default"] = default
    if example is not None:
        schema["examples"] = [example]
    return schema


def _toml(text: str, *path: str) -> Any:
    """The value at a path of a TOML text; None where it is no TOML or shows something else."""
    try:
        value: Any = tomllib.loads(text)
        for part in path:
            value = value[part]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    return value


def words_of(path: tuple[str, ...]) -> tuple[str, ...]:
    """The words that a key takes, if it takes only words; booleans are ``on`` and ``off``, as on a command line."""
    found = _of_type(_spec_type(path))
    if found.get("type") == "boolean":
        return ("on", "off")
    return tuple(str(word) for word in found.get("enum", ()))
