"""Selectors: ``3`` (id), ``web``, ``web:1``, a namespace, ``/regex/`` on names, ``all``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rookery._base.nearest import nearest
from rookery.errors import NothingMatched, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
_LONGEST = 100
"""Characters of a selector in a message."""


@dataclass(frozen=True)
class Target:
    """What a selector looks at: one instance."""

    id: int
    name: str
    namespace: str
    index: int


class Selector(NamedTuple):
    """A selector that has been read. kind: all, id, index, regex or name; only its own field is set."""

    text: str
    kind: str
    number: int = -1
    """The id, or the index of an instance."""
    name: str = ""
    pattern: re.Pattern[str] | None = None


def parse(text: str) -> Selector:
    """Read one selector. Raises UsageError for an empty one and for an invalid regular expression."""
    if not text.strip():
        raise UsageError("a selector is empty", hint="name an app, or say all")
    if text == "all":
        return Selector(text, "all")
    if text.isascii() and text.isdecimal():
        return Selector(text, "id", number=int(text[:18]))
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        try:
            return Selector(text, "regex", pattern=re.compile(text[1:-1]))
        except re.error as error:
            raise UsageError(f"{text!r} is no regular expression", why=str(error)) from None
    name, colon, index = text.rpartition(":")
    if colon and name and index.isascii() and index.isdecimal():
        return Selector(text, "index", number=int(index[:18]), name=name)
    return Selector(text, "name", name=text)


def match(selector: Selector, targets: Sequence[Target]) -> list[bool]:
    """Which targets a selector means, in their order. A namespace counts only where no app has that name."""
    if selector.kind == "all":
        return [True] * len(targets)
    if selector.kind == "id":
        return [target.id == selector.number for target in targets]
    if selector.kind == "index":
        return [(target.name, target.index) == (selector.name, selector.number) for target in targets]
    if selector.pattern is not None:
        return [selector.pattern.search(target.name) is not None for target in targets]
    by_name = [target.name == selector.name for target in targets]
    return by_name if any(by_name) else [target.namespace == selector.name for target in targets]


def select(selectors: Sequence[str], items: Sequence[T], key: Callable[[T], Target]) -> list[T]:
    """The items that any of the selectors means, each once, in the order of the items.

    Raises NothingMatched for a selector that means none of them, UsageError for one that cannot be read.
    """
    targets = [key(item) for item in items]
    chosen = [False] * len(items)
    for selector in [parse(text) for text in selectors]:
        matched = match(selector, targets)
        if not any(matched):
            raise NothingMatched(f"no app matches {_shown(selector.text)}", hint=_hint(selector, targets))
        chosen = [old or new for old, new in zip(chosen, matched, strict=True)]
    return [item for item, is_chosen in zip(items, chosen, strict=True) if is_chosen]


def _shown(text: str) -> str:
    """In quotes; a config file can stand for thousands of names."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _hint(selector: Selector, targets: Sequence[Target]) -> str:
    if selector.kind == "index":
        indexes = sorted(target.index for target in targets if target.name == selector.name)
        if indexes:
            return f"{selector.name} has {', '.join(f'{selector.name}:{index}' for index in indexes[:10])}"
    if selector.kind in ("index", "name"):
        names = dict.fromkeys(name for target in targets for name in (target.name, target.namespace))
        near = nearest(selector.name, names, most=2)
        if near:
            return f"did you mean {' or '.join(near)}?"
    return "rook list shows what there is"
