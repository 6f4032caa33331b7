"""The reference pages are what the program says: committed pages that are stale fail here."""

from __future__ import annotations

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts", "docs"))

import reference

from rookery.cli import main
from rookery.cli.parser import parser_of
from rookery.config import manual

PAGES = reference.pages()


@pytest.mark.parametrize("path", PAGES, ids=os.path.basename)
def test_a_page_is_up_to_date(path):
    with open(path, encoding="utf-8") as file:
        assert file.read() == PAGES[path], "after a change of commands or keys: make docs"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_and_option_has_its_place(name):
    page = reference.commands_page()
    _, _, section = page.partition(f"\n## rook {name}\n")
    section = section.partition("\n## ")[0]
    parser = parser_of(name, main.command(name))
    assert section
    assert all(f"$ {example}\n" in section for example in parser.examples)
    assert all(f"`{flag}`" in section for action in parser.actions for flag in action.option_strings)


def test_a_row_that_was_edited_by_hand_comes_back():
    with open(os.path.join(reference.FOLDER, "config.md"), encoding="utf-8") as file:
        text = file.read()
    meant = reference.config_page(text)
    row = manual.table("Stopping")[0]
    assert row in meant
    assert reference.config_page(meant.replace(row, "| `stop_signal` | x | x | x | x |")) == meant
    assert reference.config_page(meant.replace(row + "\n", "")) == meant


def test_a_page_without_a_section_is_told():
    with pytest.raises(ValueError, match="no section"):
        reference.config_page("# rook.toml\n")
    with pytest.raises(ValueError, match="no table of keys"):
        reference.config_page("# rook.toml\n\n## Stopping\n\nnothing\n")
