"""What writers, rotations and packers leave behind, without any of them."""

from __future__ import annotations

import gzip
import os
import struct

from rookery.logs.rotation import packed_header, shift, side


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def rotate(path, keep=9):
    shift(path, keep)


def pack(path, number):
    """Make .N.gz of .N, as the packer does: under another inode, with the first one in its header."""
    name = f"{path}.{number}"
    if not os.path.exists(name):
        return
    status = os.stat(name)
    with open(name, "rb") as file:
        plain = file.read()
    packed = gzip.compress(plain)
    with open(f"{name}.new", "wb") as file:
        file.write(packed_header((status.st_dev, status.st_ino)) + packed[10:])
    os.utime(f"{name}.new", ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.rename(f"{name}.new", f"{name}.gz")
    os.unlink(name)


def index(path, *records):
    """An index with these (wall ms, offset) records beside a file; name: of the file that it tells of."""
    status = os.stat(path)
    head = struct.pack("<8sQQQH", b"rookidx1", status.st_dev, status.st_ino, 0, 0).ljust(256, b"\0")
    with open(side(path), "wb") as file:
        file.write(head + b"".join(struct.pack("<QQ", *record) for record in records))
