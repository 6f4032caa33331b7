"""What parent and worker of a process pool say to each other. Both are of one version: they are copies of one program.

    parent --packet (SOCK_SEQPACKET)--> worker      a task, or several tiny ones; what was not read can be taken back
    parent --bytes (SOCK_STREAM)------> worker      which of several may still be begun; see claims.py
    parent <--descriptors (the same)--- worker      of results in shared memory, each ahead of its frame
    parent <--frames (SOCK_STREAM)----- worker      results, errors, progress, ready, what was lent and is released
    parent --frames (the same)--------> worker      what is lent (a descriptor each), what is released
    parent <--page (shared memory)----- worker      "task N began at T": read when a limit or a question asks for it

Moments are those of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TASK = struct.Struct("<QIBxxxI")
"""number, function, flags, bytes of the pickled function that follow the header (0: the worker knows it)

With SEVERAL: the packet's number, how many tasks, flags, 0; then for each of them such a header, in which the bytes are
those of its payload, and the payload."""
BESIDE = 1
"""The payload is in a segment; what follows is a SEGMENT and its OFFSETs."""
FUNCTION_BESIDE = 2
"""The pickled function is in a segment; in its place is a SEGMENT with one OFFSET."""
SAYS_BEGUN = 4
"""Somebody listens for the task's beginning."""
SEVERAL = 8
"""The packet has several tasks, all of functions that the worker knows."""
REVOKED = 0x80
"""On the stream of claims, with a packet's number: the rest of its tasks was taken back."""

FRAME = struct.Struct("<QIIdd")
"""number, kind, bytes that follow, moment of beginning, moment of the end"""
KINDS = 11
"""More than these there are not on the wire: who says a larger one writes something else into our connection."""
RESULT, ERROR, RESULT_BESIDE, PROGRESS, BEGUN, READY, START_FAILED, RELEASED, LENT, WITHDRAWN, UNKNOWN = range(1, 12)
VALUE, NEWS, LOST = range(12, 15)
"""LENT comes with the descriptor of a segment, that of RESULT_BESIDE by the stream of claims. RELEASED, LENT and
WITHDRAWN: the number is that of a loan, which nobody refers to any more, which is about to be needed, which will not
be needed after all. READY and START_FAILED belong to no task. ERROR has the moment of the end 0 where the task did
not begin: its arguments could not be unpickled. UNKNOWN: the worker does not know the task's function any more.
VALUE, NEWS and LOST are on no wire: the result and the progress of a script's task, which are values already (the
payload of its ERROR is an exception), and the end of a task that no worker tells, whose payload is an exception too."""

SEGMENT = struct.Struct("<QQI")
"""number, size, how many parts"""
OFFSET = struct.Struct("<QQ")
"""start and length of a part; the first is the pickle's stream, the others its buffers"""

PAGE = struct.Struct("<Qd")
"""the task at work, or 0, and the moment it began"""
PAGE_SIZE = 4096

INLINE = 32 * 1024
"""Larger payloads go through a segment: a socket holds few of them, and copies them twice."""
READ = 64 * 1024


def described(number: int, size: int, offsets: Sequence[tuple[int, int]]) -> bytes:
    """A segment's parts, as they stand in a packet or a frame."""
    parts = b"".join(OFFSET.pack(start, length) for start, length in offsets)
    return SEGMENT.pack(number, size, len(offsets)) + parts


def parts_of(text: bytes | memoryview) -> tuple[int, int, list[tuple[int, int]]]:
    """(number, size, offsets) of a segment that described() made."""
    number, size, count = SEGMENT.unpack_from(text)
    return number, size, [OFFSET.unpack_from(text, SEGMENT.size + OFFSET.size * i) for i in range(count)]
