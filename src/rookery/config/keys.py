"""Every key of rook.toml and what it takes. docs/reference/config.md says the same in words."""

from __future__ import annotations

from typing import get_args

from rookery.config import listening, server_options, system_values, values
from rookery.config.command import attribute_name, command_words, module_name
from rookery.config.names import check_name
from rookery.config.reader import Each, Fields, Kind, Scalar
from rookery.config.spec import Balance
from rookery.config.spec import Kind as KindWord


def _number(given: str) -> object:
    sign, digits = given[:1], given.lstrip("-")
    return int(given) if digits.isdecimal() and given in (digits, sign + digits) else given


def _boolean(given: str) -> object:
    return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(given, given)


def _decimal(given: str) -> object:
    try:
        return float(given)
    except ValueError:
        return given


def _plain(given: str) -> object:
    """A number or a boolean where the text is one."""
    for read in (_number, _boolean, _decimal):
        if (found := read(given)) != given:
            return found
    return given


def _codes(given: str) -> object:
    return [_number(code.strip()) for code in given.split(",")]


_TEXT = Scalar(values.text)
_NAME = Scalar(lambda value: check_name(values.text(value)))
_FLAG = Scalar(values.flag, _boolean)
_COUNT = Scalar(values.whole(), _number)
_DURATION = Scalar(values.duration)
_SIZE = Scalar(values.size)
_VARIABLES = Each(Scalar(system_values.variable), system_values.variable_name)

_BACKOFF = Fields(
    {
        "base": _DURATION,
        "factor": Scalar(values.factor, _decimal),
        "cap": _DURATION,
        "jitter": _FLAG,
    }
)
_MAX_RESTARTS = Fields({"count": _COUNT, "window": _DURATION}, shorthand="count")
_LIMITS = Fields(
    {
        "memory": _SIZE,
        "open_files": _COUNT,
        "processes": _COUNT,
        "cpu_time": Scalar(values.whole_seconds),
        "core": _SIZE,
    }
)
_READINESS = Fields(
    {"notify": _FLAG},
    later=frozenset({"command", "http", "log", "message", "port", "period", "timeout", "failure_threshold"}),
)
_LOGS = Fields(
    {
        "merge": Scalar(values.choice("none", "streams", "instances", "all")),
        "max_size": Scalar(values.size_above_zero),
        "keep": _COUNT,
        "timestamps": Scalar(values.timestamps, _boolean),
        "prefix": _FLAG,
        "json": _FLAG,
        "combined": _FLAG,
        "rotate": Scalar(values.choice("never", "hourly", "daily", "weekly")),
        "compress": _FLAG,
        "on_full": Scalar(values.choice("drop", "block")),
        "via": Scalar(values.choice("pipe", "direct", "stdout")),
    },
)

_COMMON: dict[str, Kind] = {
    "args": Scalar(values.arguments),
    "backlog": Scalar(values.whole_above_zero, _number),
    "backoff": _BACKOFF,
    "balance": Scalar(values.choice(*get_args(Balance))),
    "cwd": _TEXT,
    "drain_timeout": _DURATION,
    "env": _VARIABLES,
    "env_file": _TEXT,
    "graceful_timeout": _DURATION,
    "group": Scalar(system_values.name_or_number),
    "instances": Scalar(system_values.instances, _number),
    "interpreter": _TEXT,
    "limits": _LIMITS,
    "linger": _DURATION,
    "logs": _LOGS,
    "max_lifetime": Scalar(values.time_limit),
    "max_requests": Scalar(values.count_limit, _number),
    "max_requests_jitter": Scalar(values.share, _decimal),
    "max_restarts": _MAX_RESTARTS,
    "max_surge": Scalar(values.whole_above_zero, _number),
    "min_uptime": _DURATION,
    "namespace": _NAME,
    "ok_exit_codes": Scalar(system_values.exit_codes, _codes),
    "options": Each(Scalar(server_options.option, _plain), server_options.option_name),
    "readiness": _READINESS,
    "request_timeout": Scalar(values.time_limit),
    "restart": Scalar(values.choice("always", "on-failure", "never")),
    "restart_delay": _DURATION,
    "stable_after": _DURATION,
    "start_timeout": Scalar(values.duration_above_zero),
    "stdin": Scalar(values.choice("null", "pipe")),
    "stop_scope": Scalar(values.choice("tree", "leader")),
    "stop_signal": Scalar(system_values.signal_name),
    "umask": Scalar(system_values.umask),
    "user": Scalar(system_values.name_or_number),
    "worker_timeout": Scalar(values.time_limit),
}
_PLACES: dict[str, Kind] = {
    "bind": Scalar(listening.binds, lambda given: [one.strip() for one in given.split(",")]),
    "kind": Scalar(values.choice(*get_args(KindWord))),
}
_PROFILES: dict[str, Kind] = {"env_profiles": Each(_VARIABLES, lambda name: name)}
_WAYS: dict[str, Kind] = {
    "app": Scalar(attribute_name),
    "command": Scalar(command_words),
    "module": Scalar(module_name),
    "script": _TEXT,
}
_LATER = frozenset(
    {
        *("affinity", "cron_restart", "deploy", "depends_on", "groups", "health", "ignore", "increment_var"),
        *("inherit_env", "instance_var", "max_memory", "mode", "nice", "pty", "watch"),
        "watch_delay",
    }
)


def _stray_table(key: str, value: object) -> str:
    if isinstance(value, dict) and _WAYS.keys() & value.keys():
        return f"apps are written [apps.{key}]"
    return "a rook.toml has [defaults] and [apps.NAME]"


APP = Fields(
    {**_COMMON, **_PLACES, **_WAYS, **_PROFILES},
    later=_LATER,
    elsewhere={"name": "the name of an app stands in its table: [apps.NAME]"},
)
DEFAULTS = Fields(
    {**_COMMON, **_PROFILES},
    later=_LATER,
    elsewhere=dict.fromkeys((*_PLACES, *_WAYS, "name"), "it says what one app is; write it under [apps.NAME]"),
)
FILE = Fields({"apps": Each(APP, check_name), "defaults": DEFAULTS}, later=frozenset({"deploy"}), stray=_stray_table)
OPTIONS = Fields(
    {
        **{key: kind for key, kind in _COMMON.items() if key != "args"},
        **_PLACES,
        "module": Scalar(module_name),
        "name": _NAME,
        "shell": _FLAG,
    },
    later=_LATER,
)
