"""``rook completion``: scripts for shells. The names that they ask for come on the hot path."""

from __future__ import annotations

import os

from rookery.cli.output import put
from rookery.control import places
from rookery.control.client import Client
from rookery.control.launch import saved_apps
from rookery.errors import ControlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHELLS = ("bash", "zsh", "fish")
_PATIENCE = 1.0
"""Seconds: somebody has pressed the tab key and waits."""


def run(argv: list[str]) -> int:
    """See ``rook completion --help``. Raises UsageError."""
    if argv == ["--names"]:
        put("\n".join(names(_known(places.home(os.environ)))))
        return 0
    from rookery.cli.completion import bash, fish, zsh
    from rookery.cli.completion.model import commands
    from rookery.cli.parser import Parser

    parser = Parser(
        "completion",
        "Print a script that lets the shell complete commands, options, and the names of apps.",
        (
            "rook completion bash > ~/.local/share/bash-completion/completions/rook",
            "rook completion zsh > ~/.zfunc/_rook        where ~/.zfunc is in $fpath",
            "rook completion fish > ~/.config/fish/completions/rook.fish",
        ),
        words="SHELL",
    )
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=f"one of {', '.join(_SHELLS)}")
    shell = parser.parse(argv).shell
    put({"bash": bash, "zsh": zsh, "fish": fish}[shell].script(commands()).rstrip("\n"))
    return 0


def names(rows: list[dict[str, Any]]) -> list[str]:
    """What selects something of these (InstanceRows): names, instances where there are several, namespaces, all."""
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row["index"])
    instances = [f"{name}:{index}" for name, many in found.items() if len(many) > 1 for index in many]
    spaces = [row["namespace"] for row in rows]
    return list(dict.fromkeys([*found, *instances, *spaces, *(["all"] if found else [])]))


def _known(home: str) -> list[dict[str, Any]]:
    """From the manager; where none runs, from what the last one has saved. Never starts one, never fails."""
    client = Client(home)
    try:
        if client.is_listening():
            rows: list[dict[str, Any]] = client.request("GET", "/v1/instances", timeout=_PATIENCE)[1]
            return rows
    except ControlError:
        return []
    return [
        {"name": spec.get("name", ""), "index": index, "namespace": spec.get("namespace", "default")}
        for spec, count in saved_apps(home)
        for index in range(count)
    ]
