from __future__ import annotations

import pytest

from rookery.config.selectors import Target, match, parse, select
from rookery.errors import NothingMatched, UsageError

TARGETS = [
    Target(0, "web", "shop", 0),
    Target(1, "web", "shop", 1),
    Target(2, "worker", "shop", 0),
    Target(3, "shop", "other", 0),
    Target(7, "Web-admin", "back", 0),
    Target(12, "blog", "web", 0),
]


def ids(*selectors):
    return [target.id for target in select(selectors, TARGETS, lambda target: target)]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["7"], [7]),
        (["web"], [0, 1]),
        (["web:1"], [1]),
        (["shop"], [3]),
        (["back"], [7]),
        (["other"], [3]),
        (["/^w/"], [0, 1, 2]),
        (["/(?i)^web/"], [0, 1, 7]),
        (["/admin|blog/"], [7, 12]),
        (["all"], [0, 1, 2, 3, 7, 12]),
        (["12", "web", "0"], [0, 1, 12]),
        (["all", "web"], [0, 1, 2, 3, 7, 12]),
        (["012"], [12]),
        ([], []),
    ],
)
def test_select(selectors, expected):
    assert ids(*selectors) == expected


@pytest.mark.parametrize(
    ("selectors", "named", "hint"),
    [
        (["wbe"], "wbe", "did you mean web?"),
        (["web", "wroker"], "wroker", "did you mean worker?"),
        (["bakc"], "bakc", "did you mean back?"),
        (["zzzzzz"], "zzzzzz", "rook list shows what there is"),
        (["99"], "99", "rook list shows what there is"),
        (["web:7"], "web:7", "web has web:0, web:1"),
        (["wbe:0"], "wbe:0", "did you mean web?"),
        (["/^x/"], "/^x/", "rook list shows what there is"),
        (["web:"], "web:", "did you mean web?"),
        (["Web"], "Web", "did you mean web?"),
        (["9" * 5000], f"{'9' * 100}...", "rook list shows what there is"),
    ],
)
def test_nothing_matched(selectors, named, hint):
    with pytest.raises(NothingMatched) as caught:
        ids(*selectors)
    assert caught.value.what == f"no app matches {named!r}"
    assert hint in caught.value.hint


def test_all_of_nothing_is_nothing():
    with pytest.raises(NothingMatched):
        select(["all"], [], lambda target: target)


@pytest.mark.parametrize("text", ["", " ", "/(/", "/*/"])
def test_selectors_that_cannot_be_read(text):
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("all", "all"),
        ("3", "id"),
        ("web:3", "index"),
        ("/x/", "regex"),
        ("//", "regex"),
        ("/", "name"),
        ("web:x", "name"),
        (":3", "name"),
        ("²", "name"),
        ("All", "name"),
    ],
)
def test_kinds(text, kind):
    assert parse(text).kind == kind


def test_match_keeps_the_order_and_length():
    assert match(parse("web:0"), TARGETS) == [True, False, False, False, False, False]


def test_items_are_returned_not_targets():
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert select(["b"], rows, lambda row: Target(row["id"], row["name"], "default", 0)) == [rows[1]]
