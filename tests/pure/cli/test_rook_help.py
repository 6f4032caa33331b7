from __future__ import annotations

import os

import pytest

from rookery.cli import main, topics
from rookery.cli.overview import grouped, overview
from rookery.cli.parser import Parser, default_of, parser_of
from rookery.config.keys import APP


@pytest.mark.parametrize("name", topics.names())
def test_every_topic_is_told(rook, name):
    ran = rook("help", name)
    assert (ran.code, ran.err) == (0, "")
    text = ran.out[ran.out.index(topics.title(name)) :]
    title, empty, *rest = text.splitlines()
    assert title == topics.title(name)
    assert empty == ""
    assert any(line.startswith("  rook ") for line in rest)
    assert max(map(len, rest)) <= 105
    assert f"\n  {name:<14} {title}\n" in rook("help").out


def test_every_file_is_a_topic():
    folder = os.path.dirname(topics.__file__)
    assert {name.removesuffix(".txt") for name in os.listdir(folder) if name.endswith(".txt")} == set(topics.names())


@pytest.mark.parametrize("name", ["restart", "logs"])
def test_a_command_that_is_a_topic_too_shows_both(rook, name):
    command = rook(name, "--help").out
    assert rook("help", name).out == f"{command}\n{topics.text(name)}\n"


def test_the_topic_config_names_only_keys_that_there_are():
    shown = [line.split("=")[0].strip() for line in topics.text("config").splitlines() if " = " in line]
    assert set(shown) - {"LOG_LEVEL"} <= set(APP.known)


def test_aliases_have_the_help_of_their_command(rook):
    assert rook("help", "ls").out == rook("list", "--help").out


def test_commands_are_grouped_each_once():
    found = grouped(main.COMMANDS)
    assert sorted(name for names in found.values() for name in names) == sorted(main.COMMANDS)
    assert "More" not in found, f"say in overview.py what {found.get('More')} are for"
    assert grouped(["list", "frobnicate"]) == {"Look": ["list"], "More": ["frobnicate"]}


def test_the_overview_without_topics():
    text = overview({"list": ("list", "what runs")}, {"ls": "list"})
    assert "  list           what runs (also: ls)\n" in text
    assert "Topics" not in text


def test_a_parser_can_be_had_from_its_command():
    def run(argv):
        parser = Parser("frob", "Frobnicate.", ("rook frob",), words="[WORD]")
        parser.add_argument("word", nargs="?", help="a word")
        parser.add_argument("--often", action="store_true", help="many times")
        parser.add_argument("--most", default=3, help="at most 100%%")
        parser.add_argument("--name", help="a name (default: yours)")
        parser.parse(argv)
        raise AssertionError("it had no help")

    parser = parser_of("frob", run)
    assert (parser.about, parser.examples) == ("Frobnicate.", ("rook frob",))
    word, often, most, name = parser.actions
    assert [default_of(one) for one in (word, often, most, name)] == ["", "off", "3", ""]
    assert "at most 100% (default: 3)" in parser.format_help()
    with pytest.raises(LookupError):
        parser_of("mute", lambda argv: 0)


def test_wrong_usage(rook):
    assert rook("help", "start", "stop").code == 2
    assert rook("help", "--frob").code == 2
