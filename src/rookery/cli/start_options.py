"""The options of ``rook start``: each setting is one key of rook.toml, handed on as the text it was given as."""

from __future__ import annotations

from typing import Any, NamedTuple

from rookery.cli.parser import Parser, add_json, add_waiting
from rookery.errors import UsageError


class Setting(NamedTuple):
    """An option that is a key of rook.toml.

    path: the key; default: as the help shows it, in config's own words; repeats: may be given several times.
    """

    flags: str
    path: tuple[str, ...]
    metavar: str
    help: str
    default: str
    repeats: bool = False


_EITHER = "127.0.0.1:8000 for an app, else none"
SETTINGS = (
    Setting("-n --name", ("name",), "NAME", "the app's name", "from the target"),
    Setting("-i --instances", ("instances",), "N", "how many; also max, half, -1 (all CPUs but one)", "1"),
    Setting("--namespace", ("namespace",), "NAME", "a group of apps, also a selector", "default"),
    Setting("--cwd", ("cwd",), "DIR", "working directory", "."),
    Setting("--interpreter", ("interpreter",), "PROGRAM", "what runs the script", "found by extension or #!"),
    Setting("-m --module", ("module",), "MODULE", "run a Python module, as python -m", "none"),
    Setting(
        "--bind", ("bind",), "HOST:PORT", "share this port (or unix:/path); may be repeated", _EITHER, repeats=True
    ),
    Setting(
        "--balance",
        ("balance",),
        "HOW",
        "shared, hash, port, or to Python apps also round_robin, least_connections, sticky",
        "shared",
    ),
    Setting("--kind", ("kind",), "KIND", "app, asgi, wsgi, connection, socket, node, command", "found"),
    Setting("--drain-timeout", ("drain_timeout",), "TIME", "for requests under way when an instance goes", "30s"),
    Setting("--linger", ("linger",), "TIME", "a connection silent for so long is closed then", "2s"),
    Setting("--max-surge", ("max_surge",), "N", "how many rook reload replaces at once", "1"),
    Setting("--start-timeout", ("start_timeout",), "TIME", "until an instance on a port is ready", "30s"),
    Setting("--backlog", ("backlog",), "N", "connections that may wait", "2048"),
    Setting("--max-requests", ("max_requests",), "N", "replace an instance after so many", "never"),
    Setting("--max-requests-jitter", ("max_requests_jitter",), "SHARE", "a random share less of them", "0.1"),
    Setting("--max-lifetime", ("max_lifetime",), "TIME", "replace an instance of this age", "never"),
    Setting("--worker-timeout", ("worker_timeout",), "TIME", "one without a sign of life is replaced", "30s"),
    Setting("--request-timeout", ("request_timeout",), "TIME", "for one request of a Python app", "never"),
    Setting("--env-file", ("env_file",), "FILE", "variables from a file", "none"),
    Setting("--user", ("user",), "NAME", "run as this user", "you"),
    Setting("--group", ("group",), "NAME", "run with this group", "the user's"),
    Setting("--umask", ("umask",), "OCTAL", "mode bits that new files do not get", "022"),
    Setting("--restart", ("restart",), "POLICY", "always, on-failure or never", "always"),
    Setting("--max-restarts", ("max_restarts", "count"), "N", "give up after more in the window", "no limit"),
    Setting("--max-restarts-window", ("max_restarts", "window"), "TIME", "the window of --max-restarts", "1m"),
    Setting("--min-uptime", ("min_uptime",), "TIME", "alive for so long counts as started", "1s"),
    Setting("--stable-after", ("stable_after",), "TIME", "alive for so long makes restarts quick again", "10s"),
    Setting("--restart-delay", ("restart_delay",), "TIME", "wait before each restart", "0s"),
    Setting("--backoff-base", ("backoff", "base"), "TIME", "first wait after a crash", "100ms"),
    Setting("--backoff-factor", ("backoff", "factor"), "N", "growth of the wait", "2"),
    Setting("--backoff-cap", ("backoff", "cap"), "TIME", "longest wait", "30s"),
    Setting("--backoff-jitter", ("backoff", "jitter"), "on|off", "spread the waits at random", "on"),
    Setting("--ok-exit-codes", ("ok_exit_codes",), "N,N", "exits that are no failure", "0"),
    Setting("--stop-signal", ("stop_signal",), "SIGNAL", "the polite signal", "SIGTERM"),
    Setting("--graceful-timeout", ("graceful_timeout",), "TIME", "from that signal to SIGKILL", "10s"),
    Setting("--stop-scope", ("stop_scope",), "tree|leader", "who gets the polite signal", "tree"),
    Setting("--logs-merge", ("logs", "merge"), "HOW", "none, streams, instances or all in one file", "none"),
    Setting("--logs-max-size", ("logs", "max_size"), "SIZE", "rotate a log file at this size", "10M"),
    Setting("--logs-keep", ("logs", "keep"), "N", "rotated files to keep", "7"),
    Setting("--logs-timestamps", ("logs", "timestamps"), "on|off|PATTERN", "time before each line", "off"),
    Setting("--logs-prefix", ("logs", "prefix"), "on|off", "NAME:INDEX before each line", "off"),
    Setting("--logs-json", ("logs", "json"), "on|off", "each line as a JSON object", "off"),
    Setting("--logs-combined", ("logs", "combined"), "on|off", "besides, everything in one file", "off"),
    Setting("--logs-rotate", ("logs", "rotate"), "WHEN", "by time too: never, hourly, daily, weekly", "never"),
    Setting("--logs-compress", ("logs", "compress"), "on|off", "compress rotated files", "off"),
    Setting("--logs-on-full", ("logs", "on_full"), "drop|block", "on a full disk drop lines, or let it wait", "drop"),
    Setting("--logs-via", ("logs", "via"), "HOW", "pipe, direct (it writes the file itself), stdout (rook up)", "pipe"),
    Setting("--stdin", ("stdin",), "null|pipe", "pipe: rook send can write to it", "null"),
    Setting("--readiness-notify", ("readiness", "notify"), "on|off", "ready when it says so (sd_notify)", "off"),
    Setting("--limits-memory", ("limits", "memory"), "SIZE", "address space of each process", "the system's"),
    Setting("--limits-open-files", ("limits", "open_files"), "N", "open files of each process", "the system's"),
    Setting("--limits-processes", ("limits", "processes"), "N", "processes of the user", "the system's"),
    Setting("--limits-cpu-time", ("limits", "cpu_time"), "TIME", "CPU time of each process", "the system's"),
    Setting("--limits-core", ("limits", "core"), "SIZE", "core dumps", "the system's"),
)

_EXAMPLES = (
    "rook start app.py                         keep a script running",
    "rook start server.js -i 2 -n web          two instances, named web",
    "rook start app.py -- --port 8000          options after -- belong to the program",
    "rook start -m pkg.main                    a Python module",
    "rook start shop.web:app -i max            an ASGI or WSGI app on all cores, on 127.0.0.1:8000",
    "rook start server.js -i 4 --bind :3000    a Node server, four times on one port",
    "rook start -- ./bin --flag                any command",
    "rook start 'tail -f x | grep y' --shell   a line for /bin/sh",
    "rook start rook.toml --only web           some apps of a config file (alone: ./rook.toml)",
    "rook start web worker                     known apps, after rook stop",
)


class Call(NamedTuple):
    """What ``rook start`` was asked for.

    words: what stands before ``--`` and is no option; rest: what stands after it, None where there was no ``--``;
    settings: keys of rook.toml with texts; profile: of a config file; timeout: seconds.
    """

    words: list[str]
    rest: list[str] | None
    settings: dict[str, Any]
    profile: str | None
    only: list[str]
    inherit_env: bool
    wait: str
    timeout: float
    json: bool
    color: str = "auto"
    prefix: bool = True
    prune: bool = False
    update_env: bool = False


def parse(argv: list[str], *, is_foreground: bool = False) -> Call:
    """Read the command line; options stand anywhere before ``--``. Raises UsageError.

    is_foreground: for ``rook up``, which knows nothing of waiting.
    """
    ours, rest = argv, None
    if "--" in argv:
        at = argv.index("--")
        ours, rest = argv[:at], argv[at + 1 :]
    options = (_up_parser() if is_foreground else _parser()).parse(ours)
    return Call(
        words=options.words,
        rest=rest,
        settings=_settings(vars(options)),
        profile=options.env,
        only=options.only or [],
        inherit_env=is_foreground or options.inherit_env,
        wait="none" if is_foreground else options.wait,
        timeout=0.0 if is_foreground else options.timeout,
        json=False if is_foreground else options.json,
        color=options.color if is_foreground else "auto",
        prefix=not (is_foreground and options.no_prefix),
        prune=not is_foreground and options.prune,
        update_env=not is_foreground and options.update_env,
    )


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in SETTINGS:
        value = given["_".join(setting.path)]
        if value is None:
            continue
        table = found
        for key in setting.path[:-1]:
            table = table.setdefault(key, {})
        table[setting.path[-1]] = value
    if given["set_env"]:
        found["env"] = dict(_pair("--set-env", text) for text in given["set_env"])
    if given["option"]:
        found["options"] = dict(_pair("--option", text) for text in given["option"])
    if given["shell"]:
        found["shell"] = True
    return found


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{flag} {text} has no value", hint=f"{flag} {text}=VALUE")
    return name, value


def _parser() -> Parser:
    parser = Parser(
        "start",
        "Start a program and keep it running; apply a config file; or start known apps again.",
        _EXAMPLES,
        words="[TARGET [ARGS...]]",
        unknown_hint="options for the program go after --",
    )
    parser.add_argument(
        "words", nargs="*", metavar="TARGET", help="script, command, module:app, config file or known app"
    )
    _add_settings(parser)
    parser.add_argument("--inherit-env", action="store_true", help="hand on all of your environment")
    parser.add_argument("--update-env", action="store_true", help="known apps get your environment of now")
    parser.add_argument("--prune", action="store_true", help="delete apps that the file named before and does not now")
    add_waiting(parser)
    add_json(parser)
    return parser


def _up_parser() -> Parser:
    parser = Parser(
        "up",
        "Run apps in the foreground, without a manager: their output here, Ctrl-C ends them. Made for containers: as "
        "process 1 it reaps what nobody else does. The exit code is the app's own. (Killed with SIGKILL it leaves its "
        "apps running, but for a container's: those end with their process 1.)",
        (
            "rook up                         everything in ./rook.toml",
            "rook up app.py                  one program, its output as it is",
            "rook up rook.toml --only web    some apps of a file",
            "rook up -- ./bin --flag         any command",
        ),
        words="[TARGET [ARGS...]]",
        unknown_hint="options for the program go after --",
    )
    parser.add_argument("words", nargs="*", metavar="TARGET", help="script, command, module:app or config file")
    parser.add_argument("--no-prefix", action="store_true", help="lines of several apps without their name")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", metavar="WHEN", help="auto, always or never"
    )
    _add_settings(parser)
    return parser


def _add_settings(parser: Parser) -> None:
    for setting in SETTINGS:
        parser.add_argument(
            *setting.flags.split(),
            action="append" if setting.repeats else "store",
            dest="_".join(setting.path),
            metavar=setting.metavar,
            help=f"{setting.help} (default: {setting.default})",
        )
    parser.add_argument("--set-env", action="append", metavar="K=V", help="a variable; may be repeated")
    parser.add_argument("--option", action="append", metavar="K=V", help="uvicorn's, for an app; may be repeated")
    parser.add_argument("--shell", action="store_true", help="TARGET is a line for /bin/sh")
    parser.add_argument("--env", metavar="PROFILE", help="the config file's environment profile to use")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this app of the file; may be repeated")
