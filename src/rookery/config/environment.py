"""What an app inherits from the calling command, and what of an environment may be shown."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_INHERITED = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"})
_INHERITED_PREFIXES = ("LC_", "XDG_")
_NEVER = frozenset({"NOTIFY_SOCKET", "ROOKERY_UNIT"})
_NEVER_PREFIXES = ("LISTEN_",)

_SECRET_KEYS = ("*SECRET*", "*TOKEN*", "*PASSWORD*", "*PASSWD*", "*KEY*", "*CREDENTIAL*", "*DSN*")
_MASKED = "***"
# Up to the last @: a password may hold / and @ itself, and masking too much is the safe side.
_URL_PASSWORD = re.compile(r"(://[^:/?#]*:).*@", re.DOTALL)
_QUERY_SECRET = re.compile(
    r"([?&;][^=&;#\s]*(?:secret|token|password|passwd|key|credential)[^=&;#\s]*=)[^&;#\s]*", re.IGNORECASE
)


def base_environment(environ: Mapping[str, str], *, inherit_all: bool = False) -> dict[str, str]:
    """What an app gets from the calling command's environment.

    inherit_all: everything instead of the usual few. What belongs to the caller's own supervisor (its cookie, its
    notify socket, its listening sockets) is never passed on.
    """
    return {
        key: value
        for key, value in environ.items()
        if key not in _NEVER
        and not key.startswith(_NEVER_PREFIXES)
        and (inherit_all or key in _INHERITED or key.startswith(_INHERITED_PREFIXES))
    }


def mask(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with secrets replaced by ``***``, by the look of their names (in any case).

    Of a URL, whatever the name, only the password and what looks like a secret in its query are replaced.
    """
    return {key: _mask_one(key.upper(), value) for key, value in env.items()}


def mask_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same for options, whose values may be other things than texts."""
    return {
        name: value if isinstance(value, bool | int | float) else mask({name: str(value)})[name]
        for name, value in options.items()
    }


def _mask_one(key: str, value: str) -> str:
    if any(fnmatch.fnmatchcase(key, pattern) for pattern in _SECRET_KEYS):
        return _MASKED
    if "://" not in value:
        return value
    return _QUERY_SECRET.sub(rf"\g<1>{_MASKED}", _URL_PASSWORD.sub(rf"\g<1>{_MASKED}@", value))
