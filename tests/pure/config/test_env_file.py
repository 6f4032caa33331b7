from __future__ import annotations

import pytest

from rookery.config.envfile import parse_env, read_env_file
from rookery.config.report import BadValue
from rookery.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("  A = 1  \n\n# comment\n  # another\nB=2", {"A": "1", "B": "2"}),
        ("export A=1\nexport\tB=2", {"A": "1", "B": "2"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("A=one two # comment", {"A": "one two"}),
        ("A= # comment", {"A": ""}),
        ("A=#fff", {"A": "#fff"}),
        ("A=x#y", {"A": "x#y"}),
        ("A='one # two'", {"A": "one # two"}),
        ('A="one # two" # comment', {"A": "one # two"}),
        ("A='no \\n escape'", {"A": "no \\n escape"}),
        (r'A="tab\tline\nquote\" back\\ dollar\$ C:\dir"', {"A": 'tab\tline\nquote" back\\ dollar$ C:\\dir'}),
        ('A="two\nlines"\nB=2', {"A": "two\nlines", "B": "2"}),
        ("A=it's", {"A": "it's"}),
        ("A=$HOME/${X}", {"A": "$HOME/${X}"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=1\nA=2", {"A": "2"}),
        ("", {}),
        ("\n\n", {}),
    ],
)
def test_values(text, expected):
    assert parse_env(text, "x.env") == expected


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("A=1\nnonsense", 2, "not a line like KEY=VALUE"),
        ("A=1\n\n1A=2", 3, "not a line like KEY=VALUE"),
        ("A: 1", 1, "not a line like KEY=VALUE"),
        ("=1", 1, "not a line like KEY=VALUE"),
        ("A='x\nB=2", 1, "no closing '"),
        ('A="x\ny"\nB="z', 3, 'no closing "'),
        ("A='x' y", 1, "something after the closing '"),
        ("ROOKERY_UNIT=x", 1, "is set by rookery itself"),
        ("A=\0", 1, "NUL"),
    ],
)
def test_problems_name_file_and_line_but_no_value(text, line, says):
    with pytest.raises(ConfigError) as caught:
        parse_env(text, "x.env")
    assert (caught.value.file, caught.value.line) == ("x.env", line)
    assert says in caught.value.problem


def test_a_missing_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(BadValue) as caught:
        read_env_file(str(tmp_path / "gone"), "gone")
    assert caught.value.hint == f"looked for {tmp_path}/gone"


@pytest.mark.parametrize(("raw", "says"), [(b"A=\xff", "not UTF-8"), (None, "cannot be read")])
def test_unreadable_files(tmp_path, raw, says):
    path = tmp_path / "x.env"
    path.mkdir() if raw is None else path.write_bytes(raw)
    with pytest.raises(BadValue, match=says):
        read_env_file(str(path), "x.env")


def test_a_file_without_end():
    with pytest.raises(BadValue, match="is larger than 1048576 bytes"):
        read_env_file("/dev/zero", "zero")
