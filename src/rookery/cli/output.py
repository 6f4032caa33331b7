"""What commands share when they print: talk and data, colour, outcomes.

Data goes to stdout, talk to stderr. On the hot path.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

BOLD, DIM, RED, GREEN, YELLOW = 1, 2, 31, 32, 33
LABEL_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
"""What tells apps apart."""

STATE_COLOURS = {
    "running": GREEN,
    "starting": YELLOW,
    "backoff": YELLOW,
    "stopping": YELLOW,
    "stopped": DIM,
    "exited": DIM,
    "fatal": RED,
}


def say(text: str) -> None:
    """Talk to the person: one line on stderr, after the data printed so far."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """Data: one line (or more) on stdout."""
    sys.stdout.write(text + "\n")


def is_coloured(stream: TextIO, choice: str = "auto") -> bool:
    """Whether to colour. auto: on a terminal, unless NO_COLOR is set or TERM is dumb."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def output_pipe() -> int | None:
    """Our stdout's descriptor where it is a pipe or a socket, so that one can notice that its reader has left."""
    import stat

    try:
        fd = sys.stdout.fileno()
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError):
        return None
    return fd if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def painted(text: str, colour: int | str | None, *, on: bool) -> str:
    """The text in a colour (an SGR code); as it is where colour is off or None."""
    return f"\x1b[{colour}m{text}\x1b[0m" if on and colour is not None else text


def harmless(text: str) -> str:
    """The text without escape sequences and control characters; for a line of an app inside our own output."""
    if text.isprintable():
        return text
    import re

    text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text.replace("\t", "    "))
    return "".join(character for character in text if character.isprintable())


def as_json(value: object) -> str:
    """JSON for reading and for piping; a list has one line per item."""
    import json

    if isinstance(value, list):
        return "[\n" + ",\n".join("  " + json.dumps(item) for item in value) + "\n]" if value else "[]"
    return json.dumps(value, indent=2)


def stderr_lines(ended: dict[str, Any] | None) -> list[str]:
    """The last lines that an ended process (an ExitInfo) wrote to stderr."""
    return [harmless(line) for line in (ended or {}).get("stderr") or ()]


def outcome_lines(outcome: dict[str, Any], *, colour: bool = False) -> list[str]:
    """What became of one instance: a line, and for a failure its last words and where there is more."""
    unit = f"{outcome['name']}:{outcome['index']}"
    if not outcome["ok"]:
        reason = harmless(outcome.get("reason") or (outcome.get("exit") or {}).get("reason") or outcome["state"])
        lines = [painted(f"{unit}  failed: {reason}", RED, on=colour)]
        lines += [f"    {line}" for line in stderr_lines(outcome.get("exit"))]
        return [*lines, f"  log: {outcome['log']}"] if outcome.get("log") else lines
    line = f"{unit}  {outcome['did']}"
    if outcome.get("pid"):
        line += f"  pid {outcome['pid']}"
    if reason := harmless(outcome.get("reason") or "").removeprefix(f"{outcome['did']}: "):
        line += f"  ({reason})"
    return [line]


def report(result: dict[str, Any], *, json: bool = False) -> int:
    """Print an ActionResult; returns 0, 1 where something failed, or 5 where the wait's limit passed."""
    outcomes = result["outcomes"]
    if json:
        put(as_json(result))
    else:
        colour = is_coloured(sys.stdout)
        for outcome in outcomes:
            put("\n".join(outcome_lines(outcome, colour=colour)))
    for hint in dict.fromkeys(outcome.get("hint") for outcome in outcomes):
        if hint:
            say(f"hint: {hint}")
    if not all(outcome["ok"] for outcome in outcomes):
        return 1
    if result.get("expired"):
        say("rook: the wait's limit passed; the work goes on\nhint: look with: rook list, or wait longer: --timeout")
        return 5
    return 0
