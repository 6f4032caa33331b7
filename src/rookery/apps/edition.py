"""Edition: what an app is at a time; during a reload to another description there are two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery._base.binds import parse_bind
from rookery.apps.translate import restart_policy
from rookery.cluster.launch import Recipe
from rookery.cluster.settings import PASSING, Settings
from rookery.config.contradictions import PYTHON_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.apps.passing import KeptPassing
    from rookery.cluster.sockets import Listeners
    from rookery.config.spec import AppSpec

_KINDS: Mapping[str, Any] = {"app": "auto", "command": "program"}


class Edition:
    """spec, base_env: as for an App; number: counts up with each; listeners: its sockets, where it is clustered and
    they are open; passing: who accepts for its workers, where they do not themselves.
    """

    def __init__(self, spec: AppSpec, base_env: dict[str, str], number: int = 0) -> None:
        self.spec = spec
        self.base_env = base_env
        self.number = number
        self.listeners: Listeners | None = None
        self.passing: KeptPassing | None = None
        self._settings: tuple[AppSpec, Settings] | None = None

    @property
    def is_clustered(self) -> bool:
        """Whether its instances share sockets."""
        return bool(self.spec.bind)

    @property
    def passes(self) -> bool:
        """Whether connections are accepted for its workers."""
        return self.is_clustered and self.spec.balance in PASSING

    @property
    def settings(self) -> Settings:
        """What its workers are to be, without their environment. Raises UsageError."""
        if self._settings is None or self._settings[0] is not self.spec:
            self._settings = self.spec, settings_of(self.spec, {})
        return self._settings[1]

    def recipe(self, env: Mapping[str, str]) -> Recipe:
        """How they are started; env: what they find besides what the recipe adds."""
        settings = settings_of(self.spec, env)
        return Recipe(settings, settings.app, settings.kind)


def settings_of(spec: AppSpec, env: Mapping[str, str]) -> Settings:
    """A clustered app in the words of the cluster. Raises UsageError."""
    is_python = spec.kind in PYTHON_KINDS
    is_program = spec.kind == "command"
    options = {"orphan": "serve"} if spec.kind == "node" else dict(spec.options)
    return Settings(
        app=spec.app if is_python else spec.command,
        bind=tuple(parse_bind(text) for text in spec.bind),
        workers=spec.instances,
        balance=spec.balance,
        kind=_KINDS.get(spec.kind, spec.kind),
        args=spec.command[1:] if is_python else (),
        interpreter=spec.command[0] if is_python else None,
        cwd=spec.cwd,
        env={"NODE_OPTIONS": None, **env} if spec.kind == "node" else env,
        name=spec.name,
        ready="notify" if is_program and spec.readiness.notify else "auto",
        start_timeout=spec.start_timeout,
        max_surge=spec.max_surge,
        drain_timeout=spec.drain_timeout,
        linger=spec.linger,
        graceful_timeout=spec.graceful_timeout,
        max_requests=spec.max_requests,
        max_requests_jitter=spec.max_requests_jitter,
        max_lifetime=spec.max_lifetime,
        worker_timeout=spec.worker_timeout,
        request_timeout=spec.request_timeout,
        policy=restart_policy(spec),
        backlog=spec.backlog,
        unix_mode=0o777 & ~spec.umask,
        options=options,
    )
