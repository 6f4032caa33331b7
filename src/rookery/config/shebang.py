"""The first line of a script: what would run it."""

from __future__ import annotations

import os
import re
import shlex
from typing import NamedTuple

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*t?")


class Shebang(NamedTuple):
    """``words``: what the kernel would put before the script's path; ``program``: what runs in the end.

    via_env: whether ``env`` looks the program up on PATH.
    """

    words: tuple[str, ...]
    program: str
    via_env: bool


def read_shebang(path: str) -> Shebang | None:
    """The shebang of a file, or None where it has none or cannot be read."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(256)
    except OSError:
        return None
    if not head.startswith(b"#!"):
        return None
    # The kernel passes everything after the program as one argument.
    words = tuple(head[2:].split(b"\n", 1)[0].decode(errors="replace").strip().split(None, 1))
    if not words:
        return None
    if os.path.basename(words[0]) == "env" and len(words) > 1:
        program = _after_env(words[1])
        return Shebang(words, program, via_env=True) if program else None
    return Shebang(words, words[0], via_env=False)


def is_python(program: str) -> bool:
    """Whether a program is Python, by its name or by its own shebang (uvicorn, celery and the like)."""
    if _PYTHON.fullmatch(os.path.basename(program)):
        return True
    shebang = read_shebang(program)
    return shebang is not None and _PYTHON.fullmatch(os.path.basename(shebang.program)) is not None


def _after_env(rest: str) -> str:
    """The program that env starts: its first word that is neither an option nor an assignment."""
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.split()
    return next((word for word in words if not word.startswith("-") and "=" not in word), "")
