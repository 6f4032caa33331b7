"""An exception of a task on its way to who asked for it: itself, if that can be, and its traceback as text."""

from __future__ import annotations

import importlib
import os
import pickle
from typing import TYPE_CHECKING, Any

from rookery.errors import RemoteError, RookeryError
from rookery.pool.values.pickling_values import decode, encode_whole

if TYPE_CHECKING:
    from types import TracebackType

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MOST_TEXT = 64 << 10


class RemoteTraceback(RookeryError):
    """Where in the worker it happened; the cause of a task's exception. text: as it would have been printed there."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__("in the worker")

    def __reduce__(self) -> tuple[type[RemoteTraceback], tuple[str]]:
        return type(self), (self.text,)

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


def encode_error(error: BaseException) -> bytes:
    """Pickle an exception with its notes, its traceback, causes and contexts as text. Raises nothing.

    One that cannot be pickled, or would not come back as it is, goes as a RemoteError with its kind and text.
    """
    stream = _faithful(error)
    return pickle.dumps((stream, type(error).__name__, _text(error), _traceback(error)), 5)


def decode_error(stream: bytes | memoryview) -> BaseException:
    """The exception, its cause a RemoteTraceback; a RemoteError where it cannot be had here. Raises nothing."""
    pickled, kind, text, trace = pickle.loads(stream)
    if pickled is not None:
        try:
            error = decode(pickled)
        except Exception:  # its class is not there, or its constructor raises anything
            error = None
        if isinstance(error, BaseException):
            error.__cause__ = RemoteTraceback(trace)
            return error
    return RemoteError(kind, text, traceback=trace)


def _faithful(error: BaseException) -> bytes | None:
    """A pickle that gives the same error back, or None."""
    for value in (error, _Rebuilt(error)):
        try:
            stream = encode_whole(value)
            found = decode(stream)
        except (Exception, SystemExit):  # a pickle can raise anything
            continue
        if isinstance(found, BaseException) and _is_same(found, error):
            return stream
    return None


class _Rebuilt:
    """Pickled instead of an exception, comes back as that exception, without a call of its constructor."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        error = self._error
        args = _built_in(type(error)).__reduce__(error)[1]
        if isinstance(error, BaseExceptionGroup):
            args = (error.message, [_part(one) for one in error.exceptions])
        return rebuilt, (type(error), args, {**error.__dict__})


def _part(error: BaseException) -> Any:
    """One of a group's: as it is, or what stands for it."""
    if isinstance(error, BaseExceptionGroup):
        return _Rebuilt(error)
    stream = _faithful(error)
    if stream is None:
        return _Rebuilt(RemoteError(type(error).__name__, _text(error), traceback=_traceback(error)))
    return _Pickled(stream)


class _Pickled:
    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def __reduce__(self) -> tuple[Any, ...]:
        return decode, (self._stream,)


def rebuilt(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """An exception with these arguments and attributes, whatever its constructor would make of them."""
    error = kind.__new__(kind, *args)
    _built_in(kind).__init__(error, *args)
    error.__dict__.update(state)
    return error


def _built_in(kind: type[BaseException]) -> Any:
    """The class of Python's own that an exception's class comes from: it knows what the exception holds inside."""
    return next(base for base in kind.__mro__ if base.__module__ == "builtins")


def _is_same(found: BaseException, error: BaseException) -> bool:
    if isinstance(found, RemoteError):  # what stands for one of a group's that cannot be pickled
        return True
    if type(found).__qualname__ != type(error).__qualname__ or _text(found) != _text(error):
        return False
    if isinstance(found, BaseExceptionGroup) and isinstance(error, BaseExceptionGroup):
        if len(found.exceptions) != len(error.exceptions):
            return False
        return all(map(_is_same, found.exceptions, error.exceptions))
    try:
        return bool(found.args == error.args) or repr(found.args) == repr(error.args)
    except Exception:  # arguments that cannot be compared, such as arrays
        return len(found.args) == len(error.args)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own __str__
        return "(its text cannot be had)"


def _printing() -> Any:
    """The module that prints tracebacks: needed when something fails, and long to import."""
    return importlib.import_module("traceback")


def _traceback(error: BaseException) -> str:
    try:
        lines = _printing().format_exception(type(error), error, _without_ours(error.__traceback__))
    except Exception:  # whatever the exception's own methods raise
        lines = [f"{type(error).__name__}: {_text(error)}\n"]
    text = "".join(lines)
    if len(text) > _MOST_TEXT:
        half = _MOST_TEXT // 2
        text = f"{text[:half]}\n  [... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
    return text


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """From the task's own frame on."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OURS):
        first = first.tb_next
    return first or trace
