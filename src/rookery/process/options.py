"""What can be said about a command: all options with their defaults, in one place."""

from __future__ import annotations

import codecs
import os
import signal
from collections.abc import Callable, Collection, Mapping  # noqa: TC003 - read by whoever reads RunOptions
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from rookery._base.envfile import read_env_file
from rookery._base.ids import COOKIE
from rookery._base.nearest import nearest
from rookery.errors import UsageError
from rookery.lifecycle.stop import GRACE_CHILD, SIGTERM, StopPlan
from rookery.process.accounts import account
from rookery.process.environment import inherited
from rookery.process.spec import SpawnSpec
from rookery.process.stdio import Input, Output  # noqa: TC001 - read by whoever reads RunOptions

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from rookery.process.events import ChildEvent
    from rookery.process.feed import Data

MAX_OUTPUT = 100_000_000


class RunOptions(TypedDict, total=False):
    """The options of run, shell and spawn, but ``encoding``."""

    stdin: Input
    stdout: Output
    stderr: Output
    input: Data
    errors: str
    timeout: float | None
    idle_timeout: float | None
    max_output: int | None
    on_max_output: Literal["kill", "truncate"]
    check: bool
    ok_exit_codes: Collection[int]
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str | int | float | os.PathLike[str] | None] | None
    extend_env: bool
    env_file: str | os.PathLike[str] | None
    user: str | int | None
    group: str | int | None
    groups: Collection[str | int] | None
    umask: int | None
    nice: int | None
    affinity: Collection[int] | None
    rlimits: Mapping[str, int]
    session: bool
    pty: bool | tuple[int, int]
    fds: Mapping[int, Any]
    detached: bool
    stop_signal: int | str
    graceful_timeout: float
    stop_scope: Literal["tree", "leader"]
    output_grace: float
    buffer: int
    verbose: bool | None
    on_event: Callable[[ChildEvent], object] | None


class Options:
    """The options of one command. What was not given is the class's default. Raises UsageError."""

    stdin: Any = None
    stdout: Any = None
    stderr: Any = None
    input: Any = None
    encoding: str | None = "utf-8"
    errors = "replace"
    timeout: float | None = None
    idle_timeout: float | None = None
    max_output: int | None = MAX_OUTPUT
    on_max_output = "kill"
    check = True
    ok_exit_codes: Collection[int] = frozenset({0})
    cwd: str | os.PathLike[str] | None = None
    env: Mapping[str, str | int | float | os.PathLike[str] | None] | None = None
    extend_env = True
    env_file: str | os.PathLike[str] | None = None
    user: str | int | None = None
    group: str | int | None = None
    groups: Collection[str | int] | None = None
    umask: int | None = None
    nice: int | None = None
    affinity: Collection[int] | None = None
    rlimits: Mapping[str, int] = {}
    session = True
    pty: bool | tuple[int, int] = False
    fds: Mapping[int, Any] = {}
    detached = False
    stop_signal: int | str = SIGTERM
    graceful_timeout = GRACE_CHILD
    stop_scope: Literal["tree", "leader"] = "tree"
    output_grace = 0.2
    buffer = 1 << 20
    verbose: bool | None = None
    on_event: Callable[[ChildEvent], object] | None = None

    def __init__(self, given: Mapping[str, Any]) -> None:
        if not given:
            return
        if not given.keys() <= _NAMES:
            name = min(given.keys() - _NAMES)
            near = nearest(name, _NAMES, most=1)
            raise UsageError(
                f"there is no option {name!r}", hint=f"did you mean {near[0]!r}?" if near else "see RunOptions"
            )
        vars(self).update(given)
        if not given.keys() <= _UNCHECKED:
            self._check(given.keys())

    def _check(self, given: AbstractSet[str]) -> None:
        if self.input is not None and self.stdin is not None:
            raise UsageError("stdin and input are two words for the same", hint="leave one of them out")
        if self.pty and any(stream is not None for stream in (self.stdin, self.stdout, self.stderr)):
            raise UsageError("with pty the terminal is stdin, stdout and stderr", hint="leave those out")
        if self.pty and not self.session:
            raise UsageError("a terminal of its own needs a session of its own", hint="leave session=False out")
        if self.on_max_output not in ("kill", "truncate"):
            raise UsageError(f"on_max_output is 'kill' or 'truncate', not {self.on_max_output!r}")
        for name in given & _NUMBERS.keys():
            self._check_number(name, getattr(self, name))
        if "encoding" in given or "errors" in given:
            self._check_codec()
        if "stop_signal" in given:
            self.stop_plan()
        codes: Any = self.ok_exit_codes
        if isinstance(codes, str | int) or not all(isinstance(code, int) for code in codes):
            raise UsageError(f"ok_exit_codes is a set of numbers, not {self.ok_exit_codes!r}")

    @staticmethod
    def _check_number(name: str, value: Any) -> None:
        kind, least, may_be_none = _NUMBERS[name]
        if value is None and may_be_none:
            return
        if not isinstance(value, kind) or isinstance(value, bool):
            what = "a whole number" if kind is int else "a number of seconds"
            raise UsageError(f"{name} is {what}, not {value!r}")
        if not (value > 0 if least is None else value >= least):  # in this form NaN is refused as well
            raise UsageError(f"{name} is to be {'more than 0' if least is None else f'{least} or more'}, not {value!r}")

    def _check_codec(self) -> None:
        try:
            codecs.lookup(self.encoding or "utf-8")
            codecs.lookup_error(self.errors)
        except LookupError as error:
            raise UsageError(str(error)) from None

    def stop_plan(self) -> StopPlan:
        """How it is stopped. Raises UsageError."""
        number = self.stop_signal
        if isinstance(number, str):
            name = number if number.startswith("SIG") else f"SIG{number}"
            found = signal.Signals.__members__.get(name)
            if found is None:
                raise UsageError(f"there is no signal {number!r}", hint="see: kill -l")
            number = int(found)
        return StopPlan(number, self.graceful_timeout, self.stop_scope)

    def environment(self, cookie: str) -> Mapping[str, str]:
        """The whole environment of the child. Raises ConfigError, UsageError."""
        if self.extend_env and self.env_file is None and not self.env:
            return inherited(COOKIE, cookie)
        env = os.environ.copy() if self.extend_env else {}
        if self.env_file is not None:
            env.update(read_env_file(os.fspath(self.env_file)))
        if self.env:
            given: Mapping[Any, Any] = self.env
            for key, value in given.items():
                if value is None:
                    env.pop(key, None)
                elif isinstance(key, str) and isinstance(value, str | int | float | os.PathLike):
                    env[key] = os.fsdecode(value) if isinstance(value, os.PathLike) else str(value)
                else:
                    raise UsageError(f"the environment variable {key!r} is to be text, not {value!r}")
        env[COOKIE] = cookie
        return env

    def spec(self, argv: tuple[str, ...], cookie: str) -> SpawnSpec:
        """As the spawn path wants it, without descriptors. Raises SpawnError, ConfigError."""
        if vars(self).keys().isdisjoint(_OF_SPEC):
            return SpawnSpec(argv, inherited(COOKIE, cookie))
        values: dict[str, Any] = {"session": self.session, "umask": self.umask, "nice": self.nice}
        if self.cwd is not None:
            values["cwd"] = os.fspath(self.cwd)
        if self.user is not None or self.group is not None or self.groups is not None:
            values["uid"], values["gid"], values["groups"] = account(self.user, self.group, self.groups, argv)
        if self.affinity is not None:
            values["affinity"] = tuple(self.affinity)
        values["rlimits"] = self.rlimits
        return SpawnSpec(argv, self.environment(cookie), **values)


_NUMBERS: dict[str, tuple[Any, int | None, bool]] = {
    "timeout": (int | float, None, True),
    "idle_timeout": (int | float, None, True),
    "graceful_timeout": (int | float, 0, False),
    "output_grace": (int | float, 0, False),
    "max_output": (int, None, True),
    "buffer": (int, None, False),
    "umask": (int, 0, True),
    "nice": (int, -20, True),
}
"""Their type, the least value (None: more than 0), and whether they may be None."""
_UNCHECKED = frozenset({"stdin", "stdout", "stderr", "check", "cwd", "env", "extend_env", "verbose", "detached"})
"""Where nothing else is given there is nothing to check: stdin, for one, does not go with input."""
_OF_ENVIRONMENT = frozenset({"env", "extend_env", "env_file"})
_OF_SPEC = _OF_ENVIRONMENT | {"cwd", "user", "group", "groups", "affinity", "rlimits", "session", "umask", "nice"}
_NAMES = frozenset({*RunOptions.__annotations__, "encoding"})
