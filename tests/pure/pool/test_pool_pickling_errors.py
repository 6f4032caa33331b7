"""Exceptions of tasks on their way back."""

from __future__ import annotations

import pickle
import sys
import threading
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_program import Program

from rookery.errors import ChannelTimeout, FrameError, RemoteError
from rookery.pool.values.pickling import RemoteTraceback, decode_error, encode_error


class TwoArguments(Exception):
    def __init__(self, what, code):
        super().__init__(f"{what} ({code})")
        self.what = what
        self.code = code


class SaysTwice(Exception):
    """Pickled the usual way it comes back with another text."""

    def __init__(self, what):
        super().__init__(f"failed: {what}")


class OnlyNamed(Exception):
    def __init__(self, *, code):
        super().__init__()
        self.code = code


class OwnReduce(Exception):
    def __init__(self, a, b):
        super().__init__("own")
        self.pair = a, b

    def __reduce__(self):
        return type(self), self.pair


class OddOSError(OSError):
    def __init__(self, what, code):
        super().__init__(code, f"{what}!")
        self.what = what


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Leaves(Exception):
    """Its constructor ends the program where it is called the usual way."""

    def __init__(self, *args):
        if args == ("again",):
            raise SystemExit(3)
        super().__init__("again")


class OwnGroup(ExceptionGroup):
    def derive(self, excs):
        return OwnGroup(self.message, excs)


def raised(make):
    try:
        raise make()
    except BaseException as error:
        return error


def back(error):
    return decode_error(encode_error(error))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("wrong"),
        ValueError,
        lambda: KeyError("key"),
        lambda: OSError(2, "no such file", "name"),
        lambda: FileNotFoundError(2, "no such file"),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        lambda: StopIteration(3),
        lambda: ImportError("no", name="module", path="/path"),
        lambda: SystemExit(3),
        KeyboardInterrupt,
        GeneratorExit,
        lambda: TwoArguments("went wrong", 5),
        lambda: SaysTwice("this"),
        lambda: OnlyNamed(code=7),
        lambda: OwnReduce(1, 2),
        lambda: OddOSError("disk", 28),
        lambda: ChannelTimeout("no message came", 2.0, hint="wait"),
        lambda: FrameError("too large", why="a", hint="b"),
        lambda: RemoteError("ValueError", "text", traceback="trace"),
        lambda: ExceptionGroup("two", [ValueError(1), TwoArguments("x", 2)]),
        lambda: ExceptionGroup("nested", [ExceptionGroup("in", [SaysTwice("x")]), KeyError(1)]),
        lambda: BaseExceptionGroup("base", [KeyboardInterrupt(), SystemExit(1)]),
        lambda: OwnGroup("own", [ValueError(1)]),
        Leaves,
    ],
)
def test_the_error_comes_back_as_it_was(make):
    error = raised(make)
    found = back(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.__dict__ == error.__dict__
    assert repr(found.args) == repr(error.args)
    if isinstance(error, OSError):
        assert (found.errno, found.strerror, found.filename) == (error.errno, error.strerror, error.filename)
    if isinstance(error, BaseExceptionGroup):
        assert repr(found) == repr(error)
    assert isinstance(found.__cause__, RemoteTraceback)
    printed = "".join(traceback.format_exception(found))
    assert "in raised\n" in printed
    assert "raise make()" in printed


def test_notes_and_attributes_travel():
    error = ValueError("wrong")
    error.add_note("a note")
    error.row = 7
    found = back(error)
    assert found.__notes__ == ["a note"]
    assert found.row == 7
    assert "a note" in found.__cause__.text


def test_causes_and_contexts_travel_as_text():
    def fail():
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise ValueError("second") from error
        except ValueError:
            raise TypeError("third")  # noqa: B904 - the context

    text = back(raised_by(fail)).__cause__.text
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("ValueError: second")
    assert text.index("During handling") < text.index("TypeError: third")


def raised_by(function):
    try:
        function()
    except BaseException as error:
        return error


def test_what_cannot_be_pickled_is_told():
    error = ValueError("has a lock", threading.Lock())
    found = back(raised(lambda: error))
    assert type(found) is RemoteError
    assert found.kind == "ValueError"
    assert "has a lock" in found.text
    assert "raise make()" in found.traceback
    assert pickle.loads(pickle.dumps(encode_error(error)))


def test_one_of_a_group_that_cannot_be_pickled():
    group = ExceptionGroup("two", [ValueError(threading.Lock()), KeyError("good")])
    found = back(group)
    assert type(found) is ExceptionGroup
    assert [type(one) for one in found.exceptions] == [RemoteError, KeyError]
    assert found.exceptions[0].kind == "ValueError"


def test_an_error_without_text():
    found = back(raised(NoText))
    assert isinstance(found, NoText)
    assert "NoText" in found.__cause__.text


def test_arguments_that_cannot_be_compared():
    found = back(ValueError("array", np.arange(3000)))
    assert isinstance(found, ValueError)
    assert found.args[1].tolist() == list(range(3000))


def test_a_class_of_a_program():
    program = Program()
    main = sys.modules["__main__"]
    try:
        with program:
            program.run(
                "class Mine(Exception):\n  def __init__(self, a, b):\n    super().__init__(a)\n    self.b = b\n"
            )
            stream = encode_error(program.Mine(1, 2))
        found = decode_error(stream)
    finally:
        sys.modules["__main__"] = main
    assert type(found) is program.Mine
    assert found.b == 2


def test_a_class_that_is_not_there():
    stream = encode_error(raised(lambda: TwoArguments("x", 1)))
    proper = TwoArguments
    del sys.modules[__name__].TwoArguments
    try:
        found = decode_error(stream)
    finally:
        sys.modules[__name__].TwoArguments = proper
    assert type(found) is RemoteError
    assert (found.kind, found.text) == ("TwoArguments", "x (1)")
    assert "raise make()" in found.traceback


def test_an_endless_traceback_is_cut():
    def recurse(n):
        return other(n + 1)

    def other(n):
        return recurse(n + 1)

    found = back(raised_by(lambda: recurse(0)))
    assert type(found) is RecursionError
    assert len(found.__cause__.text) < 70_000
    error = None
    for number in range(3000):
        latest = ValueError(f"number {number} {'x' * 100}")
        latest.__context__ = error
        error = latest
    found = back(error)
    assert type(found) is ValueError
    assert len(found.__cause__.text) < 70_000


@given(
    st.recursive(st.builds(ValueError, st.text()), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8)
)
def test_groups_of_any_depth(tree):
    def group(part):
        return ExceptionGroup(f"of {len(part)}", [group(one) for one in part]) if isinstance(part, list) else part

    error = group(tree)
    assert repr(back(error)) == repr(error)
