from __future__ import annotations

import tomllib

import pytest

from rookery.config.locate import dotted, line_of, lines_of

TEXT = '''# comment with [apps.fake] in it

[defaults]
env = { A = "1", "B.C" = { deep = 2 } }   # [apps.fake]

[ apps . "web shop" ]
script = """
[apps.fake]
script = "x"
"""
args = [
  "one",   # comment, with ] and "
  "two",
  ["nested", { key = 1 }],
]
backoff.base = 1
backoff . cap = 2.5
literal = \'\'\'
it's [ not ] a = table\'\'\'
last = 1979-05-27T07:32:00Z

[apps.late.env_profiles.production]
X = 'a "quoted" = value'
"esc\\"aped" = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("defaults",), 3),
        (("defaults", "env"), 4),
        (("defaults", "env", "A"), 4),
        (("defaults", "env", "B.C", "deep"), 4),
        (("apps",), 6),
        (("apps", "web shop"), 6),
        (("apps", "web shop", "script"), 7),
        (("apps", "web shop", "args"), 11),
        (("apps", "web shop", "args", 0), 12),
        (("apps", "web shop", "args", 1), 13),
        (("apps", "web shop", "args", 2, 1, "key"), 14),
        (("apps", "web shop", "backoff"), 16),
        (("apps", "web shop", "backoff", "cap"), 17),
        (("apps", "web shop", "literal"), 18),
        (("apps", "web shop", "last"), 20),
        (("apps", "late"), 22),
        (("apps", "late", "env_profiles", "production", "X"), 23),
        (("apps", "late", "env_profiles", "production", 'esc"aped'), 24),
    ],
)
def test_line_of_a_key(path, line):
    tomllib.loads(TEXT)
    assert lines_of(TEXT)[path] == line


def test_no_line_comes_from_strings_or_comments():
    assert not any("fake" in path for path in lines_of(TEXT))


def test_every_key_of_the_text_has_a_line():
    def paths(value, path):
        yield path
        if isinstance(value, dict):
            for key, one in value.items():
                yield from paths(one, (*path, key))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                yield from paths(one, (*path, index))

    wanted = set(paths(tomllib.loads(TEXT), ())) - {()}
    assert wanted == set(lines_of(TEXT))


def test_a_missing_key_has_the_line_of_its_table():
    assert line_of(lines_of(TEXT), ("apps", "late", "script")) == 22


def test_nothing_known_has_no_line():
    assert line_of(lines_of(TEXT), ("else", "where")) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("apps", "web", "cwd"), "apps.web.cwd"),
        (("apps", "web", "args", 1), "apps.web.args[1]"),
        (("apps", "web shop", "cwd"), 'apps."web shop".cwd'),
        ((), ""),
    ],
)
def test_dotted(path, text):
    assert dotted(path) == text
