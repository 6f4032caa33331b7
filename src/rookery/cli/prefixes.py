"""What ``rook up`` puts before each line to tell apps apart."""

from __future__ import annotations

from rookery.cli.output import LABEL_COLOURS, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.config.spec import AppSpec

_OUT, _ERR = "|", "!"


def prefixes(specs: Sequence[AppSpec], colours: tuple[bool, bool]) -> dict[str, tuple[str, str]]:
    """For each ``name:index`` what stands before its lines, on stdout (a bar) and on stderr (``!``); equally wide.

    None where there is one instance. Not for an app that writes JSON: its objects say whose they are. colours: whether
    stdout and stderr are coloured.
    """
    instances = [(spec, f"{spec.name}:{index}") for spec in specs for index in range(spec.instances)]
    if len(instances) < 2:
        return {}
    width = max(len(label) for _, label in instances)
    found = {}
    for number, (spec, label) in enumerate(instances):
        if not spec.logs.json:
            # Reset first: an app that leaves its colour on must not paint the next prefix.
            code = f"0;{LABEL_COLOURS[number % len(LABEL_COLOURS)]}"
            found[label] = (
                painted(f"{label:{width}} {_OUT} ", code, on=colours[0]),
                painted(f"{label:{width}} {_ERR} ", code, on=colours[1]),
            )
    return found
