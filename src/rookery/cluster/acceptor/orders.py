"""What the acceptor is to do, in a variable of its environment; a function of the user's own by name or by value."""

from __future__ import annotations

import base64
import importlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from rookery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "ROOKERY_ACCEPTOR"


class Orders(NamedTuple):
    """sockets: numbers of the listening sockets, in the order of their marks; control: of the parent's words.

    balance: a strategy's name, ``module:function``, or "" where ``function`` is one by value; path: folders to look for
    modules in, besides; title: a name to be seen by.
    """

    sockets: tuple[int, ...]
    control: int
    balance: str = "round_robin"
    function: str = ""
    path: tuple[str, ...] = ()
    title: str = ""


def encode(orders: Orders) -> str:
    """For the variable."""
    return json.dumps(orders._asdict(), separators=(",", ":"))


def take() -> Orders:
    """The orders of this process; the variable goes. KeyError."""
    plain = json.loads(os.environ.pop(VARIABLE))
    return Orders(**{**plain, "sockets": tuple(plain["sockets"]), "path": tuple(plain["path"])})


def by_value(function: Callable[..., Any]) -> str:
    """A function for another process: its name where it can be imported, else with all it needs. Raises UsageError."""
    import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415 - only where there is such a function

    try:
        return base64.b64encode(cloudpickle.dumps(function)).decode()
    except Exception as error:
        raise UsageError(
            f"{function!r:.60} cannot be given to the process that accepts",
            why=f"{type(error).__name__}: {error}",
            hint="name it: balance='package.module:function'",
        ) from None


def function_of(orders: Orders) -> Callable[..., Any]:
    """The user's function. Raises whatever the import raises."""
    found: Any
    if orders.function:
        import pickle  # noqa: PLC0415 - only where there is such a function

        found = pickle.loads(base64.b64decode(orders.function))
    else:
        module, _, attribute = orders.balance.partition(":")
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{orders.balance or found!r} cannot be called")
    return found  # type: ignore[no-any-return]
