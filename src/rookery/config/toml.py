"""rook.toml: read by the calling user, turned into AppSpecs with every path absolute."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery._base.nearest import nearest
from rookery.config.accounts import unknown_accounts
from rookery.config.build import build_spec
from rookery.config.command import app_command, module_command, plain_command, script_command
from rookery.config.envfile import MOST_BYTES, read_env_file
from rookery.config.keys import FILE
from rookery.config.listening import clashes, settled
from rookery.config.lookup import Surroundings, absolute, did_you_mean, existing_folder, names_in, search_path
from rookery.config.reader import Reader
from rookery.config.report import BadValue, FileSource, first_of, in_order
from rookery.errors import ConfigError, NothingMatched

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rookery.config.locate import KeyPath
    from rookery.config.spec import AppSpec

_WAYS = ("script", "command", "module", "app")
_TABLES = ("backoff", "limits", "logs", "max_restarts", "options")


def load_file(
    path: str,
    *,
    only: Collection[str] = (),
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[AppSpec]:
    """The apps of a rook.toml, in its order.

    only: names of the apps that are wanted, all when empty; profile: the environment profile to lay over env;
    environ: the calling command's environment, the process's own when left out.
    Raises ConfigError for the first problem in the file and NothingMatched where ``only`` names no app of it.
    """
    found = examine(path, only=only, profile=profile, environ=environ)
    if found.problems:
        raise first_of(found.problems)
    return found.specs


def app_names(path: str) -> list[str]:
    """The names of the apps in a file, whatever else may be wrong in it. Raises ConfigError where there are none."""
    apps = _parse(path, _read(path)).get("apps")
    if not isinstance(apps, dict) or not apps:
        raise ConfigError("there are no apps in it", file=path, hint="write one as [apps.NAME]")
    return list(apps)


class Examined(NamedTuple):
    """A file that has been read. specs: the apps that are well described; problems: all that is wrong, by line."""

    specs: list[AppSpec]
    problems: list[ConfigError]


def examine(
    path: str,
    *,
    only: Collection[str] = (),
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Examined:
    """See load_file. Raises ConfigError only where the file as a whole cannot be read, and NothingMatched."""
    text = _read(path)
    tables = _parse(path, text)
    reader = Reader(FileSource(path, text))
    data = reader.read(FILE, tables)
    # A key that was wrong is missing from what was read: whatever that leads to is no second mistake.
    wrong = {place[:2] for place in reader.places}
    if any(len(place) < 2 or place[0] != "apps" for place in wrong):
        return Examined([], in_order(reader.problems))
    apps: dict[str, dict[str, Any]] = data.get("apps", {})
    if not apps and not wrong:
        raise ConfigError("there are no apps in it", file=path, hint="write one as [apps.NAME]")
    unknown = [name for name in only if name not in apps]
    if unknown and not wrong:
        hint = did_you_mean(nearest(unknown[0], apps), f"it has {', '.join(apps)}")
        raise NothingMatched(f"there is no app {unknown[0]!r} in {path}", hint=hint)
    if profile is not None:
        _check_profile(reader, path, profile, [data.get("defaults", {}), *apps.values()])
    file = _File(path, data.get("defaults", {}), profile, os.environ if environ is None else environ)
    specs = []
    for name, app in apps.items():
        if (only and name not in only) or ("apps", name) in wrong:
            continue
        for bad in unknown_accounts({**data.get("defaults", {}), **app}):
            reader.report(file.place(name, app, bad), BadValue(bad.problem, hint=bad.hint))
        try:
            specs.append(file.spec(name, app))
        except BadValue as bad:
            reader.report(file.place(name, app, bad), BadValue(bad.problem, hint=bad.hint))
        except ConfigError as error:
            reader.add(error)
    for spec, place, other in clashes(specs):
        problem = BadValue(f"{other.name} listens at {place} already", hint="give one of them another place")
        reader.report(file.place(spec.name, apps[spec.name], BadValue("", path=("bind",))), problem)
    return Examined(specs, in_order(reader.problems))


class _File:
    """What the apps of one file share."""

    def __init__(self, path: str, defaults: dict[str, Any], profile: str | None, environ: Mapping[str, str]) -> None:
        self._origin = os.path.abspath(path)
        self._folder = os.path.dirname(self._origin)
        self._defaults = defaults
        self._profile = profile
        self._environ = environ

    def spec(self, name: str, app: dict[str, Any]) -> AppSpec:
        """One app, complete. Raises BadValue with a path below the app, or ConfigError for an env file."""
        settings = {**self._defaults, **app}
        for key in _TABLES:
            if key in settings:
                settings[key] = {**self._defaults.get(key, {}), **app.get(key, {})}
        way = _way(app)
        cwd = existing_folder(settings.get("cwd", "."), self._folder, self._environ)
        env = self._environment(app)
        where = Surroundings(cwd, self._folder, self._environ, search_path(env, self._environ))
        interpreter = settings.get("interpreter")
        if way == "script":
            command = script_command(absolute(app["script"], cwd, self._environ), interpreter, where)
        elif way == "module":
            command = module_command(app["module"], interpreter, where)
        elif way == "app":
            command = app_command(app["app"], interpreter, where)
        else:
            command = plain_command(app["command"], where)
        settings = settled(settings, command, app, folder=self._folder, environ=self._environ)
        command = (*command, *settings.get("args", ()))
        return build_spec(settings, name=name, command=command, cwd=cwd, env=env, origin=self._origin)

    def place(self, name: str, app: dict[str, Any], bad: BadValue) -> KeyPath:
        """Where the key of a problem stands: in the app, else in the defaults, else in the app's header."""
        is_inherited = bool(bad.path) and bad.path[0] not in app and bad.path[0] in self._defaults
        return ("defaults", *bad.path) if is_inherited else ("apps", name, *bad.path)

    def _environment(self, app: dict[str, Any]) -> dict[str, str]:
        """Env file, env, profile; the defaults' below the app's own."""
        env: dict[str, str] = {}
        for layer in (self._defaults, app):
            if "env_file" in layer:
                shown = layer["env_file"]
                path = absolute(shown, self._folder, self._environ)
                try:
                    env.update(read_env_file(path, shown))
                except BadValue as bad:
                    raise BadValue(bad.problem, hint=bad.hint, path=("env_file",)) from None
            env.update(layer.get("env", {}))
        for layer in (self._defaults, app):
            env.update(layer.get("env_profiles", {}).get(self._profile, {}))
        return env


def _way(app: dict[str, Any]) -> str:
    ways = [key for key in _WAYS if key in app]
    if not ways:
        raise BadValue("nothing says what to run", hint="write one of script, command, module or app")
    if len(ways) > 1:
        raise BadValue(f"{' and '.join(ways)} exclude each other", hint="keep one of them", path=(ways[1],))
    if ways == ["command"] and "interpreter" in app:
        raise BadValue(
            "an interpreter goes with script, module or app, not with command",
            hint="put it first in command",
            path=("interpreter",),
        )
    return ways[0]


def _check_profile(reader: Reader, path: str, profile: str, layers: Iterable[dict[str, Any]]) -> None:
    known = dict.fromkeys(name for layer in layers for name in layer.get("env_profiles", {}))
    if profile in known:
        return
    near = [f"did you mean {name}?" for name in nearest(profile, known)]
    names = f"known profiles: {', '.join(known)}" if known else "no app has env_profiles"
    problem = f"there is no environment profile {profile!r}"
    reader.add(ConfigError(problem, file=path, key="env_profiles", hint=" ".join([*near, names])))


def _read(path: str) -> str:
    try:
        if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):  # opening it would wait for whoever writes
            raise ConfigError("it is a pipe, not a file", file=path)
        with open(path, "rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:  # a device that never ends, for example
            raise ConfigError(f"it is larger than {MOST_BYTES} bytes", file=path)
    except FileNotFoundError:
        folder = os.path.dirname(path) or "."
        near = [name for name in names_in(folder) if name.endswith(".toml")]
        hint = did_you_mean(nearest(os.path.basename(path), near), "check its path")
        raise ConfigError("there is no such file", file=path, hint=hint) from None
    except IsADirectoryError:
        raise ConfigError("this is a directory", file=path, hint=f"name a file: {path}/rook.toml") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8 text", file=path, line=line, hint="save it as UTF-8") from None


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError("tables or lists are nested too deeply", file=path) from None
    except ValueError as error:
        # The message ends in "(at line 3, column 5)" or "(at end of document)".
        problem, _, place = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1 if place else None
        raise ConfigError(f"this is not TOML: {problem}", file=path, line=line) from None
