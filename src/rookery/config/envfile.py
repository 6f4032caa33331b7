"""Env files that a configuration names."""

from __future__ import annotations

from rookery._base import envfile
from rookery.config.report import BadValue
from rookery.config.system_values import variable_name

MOST_BYTES = 1024 * 1024
"""Of a file that is read whole; a request to the manager may have no more either."""


def read_env_file(path: str, shown: str) -> dict[str, str]:
    """The variables of a file. path: absolute; shown: the path for messages.

    Raises BadValue where the file cannot be read (the caller knows which key named it) and ConfigError, with the
    line in the env file, where a line of it is wrong.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise BadValue(f"{shown!r} is larger than {MOST_BYTES} bytes")
        return parse_env(raw.decode("utf-8-sig"), path)
    except FileNotFoundError:
        raise BadValue(f"there is no file {shown!r}", hint=f"looked for {path}") from None
    except UnicodeDecodeError:
        raise BadValue(f"{shown!r} is not UTF-8 text") from None
    except OSError as error:
        raise BadValue(f"{shown!r} cannot be read: {error.strerror}") from None


def parse_env(text: str, file: str) -> dict[str, str]:
    """The variables in a text; a later line wins. file: its name for messages. Raises ConfigError."""
    return envfile.parse_env(text, file, variable_name)
