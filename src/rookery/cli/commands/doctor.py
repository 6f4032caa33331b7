"""``rook doctor``: what is not as it should be."""

from __future__ import annotations

import os
import sys

from rookery.cli.doctor.gather import gather
from rookery.cli.doctor.rules import examined
from rookery.cli.output import DIM, GREEN, RED, YELLOW, as_json, harmless, is_coloured, painted, put
from rookery.cli.parser import Parser, add_json
from rookery.control import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rookery.cli.doctor.facts import Finding

_COLOURS = {"ok": GREEN, "note": DIM, "warning": YELLOW, "error": RED}


def run(argv: list[str]) -> int:
    """See ``rook doctor --help``. Returns 1 where something is wrong (level error)."""
    parser = Parser(
        "doctor",
        "Look at the manager, its apps and the machine, and say what is not as it should be: workers against CPUs, "
        "memory, open files, buffered output, room for logs, boot, login session, processes without an owner, kernel. "
        "Changes nothing.",
        ("rook doctor", "rook doctor --json | jq '.[] | select(.level != \"ok\")'"),
    )
    add_json(parser)
    options = parser.parse(argv)
    found = examined(gather(places.home(os.environ), os.environ))
    if options.json:
        put(as_json([finding._asdict() for finding in found]))
    else:
        colour = is_coloured(sys.stdout)
        put("\n".join(line for finding in found for line in lines(finding, colour=colour)))
    return 1 if any(finding.level == "error" for finding in found) else 0


def lines(finding: Finding, *, colour: bool = False) -> list[str]:
    """A finding as it is printed."""
    level = painted(f"{finding.level:<7}", _COLOURS[finding.level], on=colour)
    text = [f"{level}  {finding.rule:<10}  {harmless(finding.what)}"]
    if finding.why:
        text.append(f"{'':21}{harmless(finding.why)}")
    if finding.hint:
        text.append(f"{'':21}hint: {harmless(finding.hint)}")
    return text
