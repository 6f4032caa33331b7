"""Writes the reference pages from the program itself: ``make docs``. A test fails while they are stale.

docs/reference/commands.md: every command's help, from its parser. docs/reference/config.md: the tables of keys, from
rookery/config/manual.toml; the text around them is written by hand. docs/reference/rook.schema.json: for editors.
With --check nothing is written; the exit code is 1 where something would be.
"""

from __future__ import annotations

import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "src"))

from rookery.cli import main, topics  # noqa: E402
from rookery.cli.overview import grouped  # noqa: E402
from rookery.cli.parser import default_of, parser_of  # noqa: E402
from rookery.config import manual  # noqa: E402
from rookery.config.schema import json_schema  # noqa: E402

FOLDER = os.path.join(ROOT, "docs", "reference")
TABLE = "| key | type | default | meaning | example |\n|---|---|---|---|---|\n"


def pages() -> dict[str, str]:
    """What each page should hold, by its path."""
    config = os.path.join(FOLDER, "config.md")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    return {
        os.path.join(FOLDER, "commands.md"): commands_page(),
        config: config_page(text),
        os.path.join(FOLDER, "rook.schema.json"): json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def commands_page() -> str:
    """Every command: what it does, examples, words and options with their defaults."""
    parts = [
        "# Commands",
        "<!-- Written by `make docs` from the commands themselves. -->",
        "`rook COMMAND --help` shows the same. Options before the command: `--home DIR`, `--version`, `--help`.",
    ]
    for title, names in grouped(main.COMMANDS).items():
        links = ", ".join(f"[{name}](#rook-{name})" for name in names)
        parts.append(f"- {title}: {links}")
    for names in grouped(main.COMMANDS).values():
        parts += [_command(name) for name in names]
    parts.append("## Topics\n\n`rook help TOPIC` explains what several commands share.")
    parts += [f"### {topics.title(name)}\n\n```text\n{_body(name)}\n```" for name in topics.names()]
    text = "\n\n".join(parts) + "\n"
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", text)


def _body(topic: str) -> str:
    return topics.text(topic).partition("\n")[2].strip("\n")


def _command(name: str) -> str:
    parser = parser_of(name, main.command(name))
    aliases = [alias for alias, of in main.ALIASES.items() if of == name]
    also = f" Also: {', '.join(f'`rook {alias}`' for alias in aliases)}." if aliases else ""
    lines = [f"## rook {name}", "", f"{parser.about}{also}", "", "```console"]
    lines += [f"$ {example}" for example in parser.examples]
    lines += ["```", ""]
    rows = []
    for action in parser.actions:
        flags = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{action.metavar}`"
        metavar = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
        value = f" `{metavar}`" if action.option_strings and action.nargs != 0 else ""
        text = (action.help or "").replace("%%", "%")
        in_text = re.search(r" \(default: (.*)\)$", text)
        default = in_text[1] if in_text else default_of(action)
        text = text[: in_text.start()] if in_text else text
        rows.append(f"| {flags}{value} | {text} | {default} |".replace("|  |", "| |"))
    if rows:
        lines += ["| option | meaning | default |", "|---|---|---|", *(_escaped(row) for row in rows)]
    return "\n".join(lines)


def _escaped(row: str) -> str:
    """A row of a table whose cells may hold bars, as in ``on|off``."""
    return re.sub(r"(?<=\S)\|(?=\S)", r"\\|", row)


def config_page(text: str) -> str:
    """The page with its tables of keys written anew, each in the section of its keys. Raises ValueError."""
    parts = re.split(r"(?m)^(?=## )", text)
    written = set()
    for place, part in enumerate(parts):
        section = part.partition("\n")[0].removeprefix("## ").strip()
        rows = manual.table(section)
        if not rows:
            continue
        start = part.find(TABLE)
        if start < 0:
            raise ValueError(f"docs/reference/config.md has no table of keys under {section!r}")
        start += len(TABLE)
        end = re.compile(r"(?m)^(?!\|)").search(part, start)
        stop = end.start() if end else len(part)
        parts[place] = part[:start] + "\n".join(rows) + "\n" + part[stop:]
        written.add(section)
    missing = {entry.section for entry in manual.entries()} - written
    if missing:
        raise ValueError(f"docs/reference/config.md has no section {sorted(missing)}")
    return "".join(parts)


def _stale() -> dict[str, str]:
    found = {}
    for path, text in pages().items():
        try:
            with open(path, encoding="utf-8") as file:
                old = file.read()
        except FileNotFoundError:
            old = ""
        if old != text:
            found[path] = text
    return found


if __name__ == "__main__":
    stale = _stale()
    for path, text in stale.items():
        print(os.path.relpath(path, ROOT))
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    sys.exit(1 if stale and "--check" in sys.argv else 0)
