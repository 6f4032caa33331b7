"""What a shared array may hold."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from rookery.errors import UsageError
from rookery.ipc.shared_types import layout

KINDS = {"int64": "q", "uint8": "B", "float32": "f", "bool": "?", "i": "i", "d": "d", int: "q", float: "d", bool: "?"}


@pytest.mark.parametrize(("kind", "code"), KINDS.items(), ids=str)
def test_a_type_has_many_names(kind, code):
    assert layout(kind, 3) == (code, (3,))


def test_a_numpy_dtype_is_known_by_its_name():
    assert layout(SimpleNamespace(name="uint16"), (2, 3)) == ("H", (2, 3))


def test_long_is_as_wide_as_here():
    assert layout("l", 1).item_size == struct.calcsize("l")
    assert layout("L", 1).code.isupper()


def test_sizes():
    one = layout("int32", (4, 5))
    assert (one.length, one.item_size, one.bytes, one.is_integer) == (20, 4, 80, True)
    assert not layout("float64", 1).is_integer


@pytest.mark.parametrize("kind", ["x", "", "int128", None, 5, str, b"i", "ii"])
def test_what_is_no_type(kind):
    with pytest.raises(UsageError, match="cannot hold") as caught:
        layout(kind, 1)
    assert "int64" in caught.value.hint


@pytest.mark.parametrize("shape", [0, -1, (), (3, 0), 1.5, "3", None, (1, "2"), (1,) * 9])
def test_what_is_no_shape(shape):
    with pytest.raises(UsageError, match="no shape"):
        layout("q", shape)
