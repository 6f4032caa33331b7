"""The process that compresses one rotated file: standard input to standard output, when nobody else needs the machine.

Its exit code is 0 when all of it is on the disk, UNKNOWN or the number of the system's error.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib

from rookery.logs.rotation import packed_header

UNKNOWN = 1
"""Also what Python ends with after an uncaught error."""
_BLOCK = 256 * 1024
_LEVEL = 1  # logs are large and regular: higher levels take several times as long for a few percent


def main() -> None:
    """``DEVICE INODE``: what the packed file tells about where its content was."""
    _give_way()
    try:
        pack(0, 1, (int(sys.argv[1]), int(sys.argv[2])))
    except OSError as error:
        sys.exit(error.errno or UNKNOWN)


def pack(source: int, target: int, identity: tuple[int, int]) -> None:
    """Compress all of one descriptor into another one, in the gzip format, and have it on the disk.

    identity: (device, inode) that is told in the header. Raises OSError.
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    crc = size = 0
    _write(target, packed_header(identity))
    while data := os.read(source, _BLOCK):
        crc = zlib.crc32(data, crc)
        size += len(data)
        _write(target, packer.compress(data))
    _write(target, packer.flush() + struct.pack("<LL", crc, size & 0xFFFFFFFF))
    os.fsync(target)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _give_way() -> None:
    """Take processor and disk only when nobody else wants them."""
    os.nice(19)
    policy = getattr(os, "SCHED_IDLE", None)
    if policy is not None:  # Linux; disk requests of such processes are idle ones too
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, os.sched_param(0))
