"""Text of apps for the terminal of a person: colours may stay, whatever else moves, clears or asks is made harmless."""

from __future__ import annotations

import re

RESET = b"\x1b[0m"
_SUSPECT = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]")
_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
# Control sequences; strings (titles, links, pictures), which an end of line ends too; short ones; a lone escape.
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}".encode()


def tamed(data: bytes, *, colours: bool) -> bytes:
    """The data as it may be shown: escape sequences are removed but colours, controls are written as ``^M``.

    Line ends and tabs stay. What is no UTF-8 is replaced.
    """
    if not _SUSPECT.search(data):
        return data
    if not data.isascii():
        data = _C1.sub(_UNKNOWN, data.decode("utf-8", "replace").encode())
    data = data.replace(b"\r\n", b"\n")
    if b"\x1b" in data:
        data = _SEQUENCE.sub(_colour_only if colours else b"", data)
    return _CONTROL.sub(_caret, data)


def without_colours(data: bytes) -> bytes:
    """The data without colours, otherwise as it is."""
    return _COLOUR.sub(b"", data) if b"\x1b" in data else data


def _colour_only(match: re.Match[bytes]) -> bytes:
    return match[0] if _COLOUR.fullmatch(match[0]) else b""


def _caret(match: re.Match[bytes]) -> bytes:
    return bytes((0x5E, match[0][0] ^ 0x40))
