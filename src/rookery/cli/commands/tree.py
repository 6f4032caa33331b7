"""``rook tree``: the processes of instances."""

from __future__ import annotations

import sys

from rookery._base.units import format_size
from rookery.cli.looking import looking_client
from rookery.cli.output import BOLD, STATE_COLOURS, as_json, is_coloured, painted, put, say
from rookery.cli.parser import Parser, add_json, duration
from rookery.cli.process_tree import drawn, with_cpu
from rookery.cli.selecting import SELECTOR_HELP, selectors
from rookery.cli.table import terminal_width
from rookery.control.client import with_selectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(argv: list[str]) -> int:
    """See ``rook tree --help``. Raises NothingMatched for selectors that match nothing."""
    parser = Parser(
        "tree",
        "Show the processes of instances as trees, with pid, cpu and memory of each.",
        ("rook tree", "rook tree web worker:0", "rook tree --json | jq '.[].tree[].pid'"),
        words="[SELECTOR...]",
    )
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=SELECTOR_HELP)
    parser.add_argument(
        "--interval", type=duration, default=0.2, metavar="TIME", help="watch the cpu for so long (default: 200ms)"
    )
    add_json(parser)
    options = parser.parse(argv)
    found = _details(selectors(options.selectors))
    with_cpu(found, options.interval)
    if options.json:
        put(as_json([_as_row(detail) for detail in found]))
    elif found:
        colour, room = is_coloured(sys.stdout), terminal_width()
        put("\n".join(line for detail in found for line in block(detail, room=room, colour=colour)))
    else:
        say("no apps; start one with: rook start app.py")
    return 0


def block(detail: dict[str, Any], *, room: int | None = None, colour: bool = False) -> list[str]:
    """An instance and its processes."""
    row, processes = detail["row"], detail["tree"]
    state = painted(row["state"], STATE_COLOURS.get(row["state"]), on=colour)
    unit = f"{row['name']}:{row['index']}"
    head = f"{painted(unit, BOLD, on=colour)}  {state}"
    if processes:
        count = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
        head += f", {count}, memory {format_size(sum(one['memory'] for one in processes))}"
    return [head, *(f"  {line}" for line in drawn(processes, room=None if room is None else room - 2))]


def _details(chosen: list[str]) -> list[dict[str, Any]]:
    client = looking_client(chosen)
    if client is None:
        return []
    found: list[dict[str, Any]] = client.request("GET", with_selectors("/v1/details", chosen))[1]
    return found


def _as_row(detail: dict[str, Any]) -> dict[str, Any]:
    row = detail["row"]
    return {**{key: row[key] for key in ("id", "name", "index", "pid", "state")}, "tree": detail["tree"]}
