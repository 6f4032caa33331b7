"""What the manager knows of each app, for comparing: with secrets as they are, which never leave this process."""

from __future__ import annotations

from rookery.cli.output import say
from rookery.config.compare import Known
from rookery.config.environment import mask
from rookery.control.launch import reading_client, saved_apps
from rookery.errors import ControlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rookery.control.client import Client

_AT_REST = ("stopped", "exited", "fatal")


def known_apps(home: str) -> dict[str, Known]:
    """By name; from the manager, or where none runs from what the last one has saved."""
    client = reading_client(home)
    if client is None:
        return {spec["name"]: Known(spec, count, count) for spec, count in saved_apps(home) if spec.get("name")}
    details: list[dict[str, Any]] = client.request("GET", "/v1/details")[1]
    found: dict[str, Known] = {}
    for detail in details:
        row, spec = detail["row"], detail["app"]
        old = found.get(row["name"], Known(spec, 0, 0))
        found[row["name"]] = Known(old.spec, old.instances + 1, old.down + (row["state"] in _AT_REST))
    _reveal(client, found)
    return found


def _reveal(client: Client, found: dict[str, Known]) -> None:
    """Put back what the manager has masked in the apps' own variables."""
    if not any(_is_masked(known) for known in found.values()):
        return
    try:
        rows: list[dict[str, Any]] = client.request("GET", "/v1/env?show_secrets=true")[1]
    except ControlError:
        say("warning: this manager does not tell secrets; changes of them cannot be seen (rook upgrade)")
        return
    for row in rows:
        known = found.get(row["name"])
        if known is not None:
            env = {name: row["next"].get(name, value) for name, value in known.spec.get("env", {}).items()}
            found[row["name"]] = known._replace(spec={**known.spec, "env": env})


def _is_masked(known: Known) -> bool:
    env = known.spec.get("env") or {}
    return any("***" in value for value in mask(env).values())
