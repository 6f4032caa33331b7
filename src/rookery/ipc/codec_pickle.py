"""Pickle protocol 5: any Python object, big buffers beside the stream in memory that both sides map.

    sender: pickles, buffers >= 256 KB --copy--> memfd, sealed --SCM_RIGHTS--> receiver: maps it, no copy

Pickle runs code of the sender's choice: only for processes of one trust.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any

from rookery.errors import FrameError, UsageError
from rookery.ipc.codecs import not_encodable
from rookery.ipc.envelope import MARK, MESSAGE, Envelope, claimed, opened

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROTOCOL = 5
_MARK = bytes([MARK])
_BESIDE = 0xC2
_COUNT = struct.Struct(">BI")
_ALIGNMENT = 64
_HAS_MEMFD = hasattr(os, "memfd_create")
_F_SEAL = 1033  # fcntl.F_ADD_SEALS, which the module has from 3.9 on Linux only
_F_SEALS = 1034
_SEAL_SEAL, _SEAL_SHRINK, _SEAL_GROW = 1, 2, 4


class Pickle:
    """Any Python object. Big buffers (bytearray, arrays, NumPy) go beside the stream where memory can be passed, which
    is Linux and a Unix socket; elsewhere they are part of the message and of its limit.

    beside: bytes from which on a buffer does so (256 KB); most_beside: of one message together (1 GiB), more is refused
    on both sides. What arrives so is writable and belongs to the receiver.
    """

    name = "pickle"
    is_lines = False
    is_plain = False
    passes_fds = False

    def __init__(self, *, beside: int = 256 * 1024, most_beside: int = 1024**3) -> None:
        self._beside = beside
        self._most = most_beside

    def encode(self, message: Any) -> bytes:
        """See Codec; the channel packs instead."""
        return self.pack(Envelope(MESSAGE, 0, message))[0]

    def pack(self, envelope: Envelope) -> tuple[bytes, list[int]]:
        """See Codec. Raises UsageError also where more is to go beside than allowed."""
        buffers: list[memoryview] = []

        def stays(buffer: pickle.PickleBuffer) -> bool:
            try:
                raw = buffer.raw()
            except BufferError:  # not contiguous
                return True
            if raw.nbytes < self._beside or not (_HAS_MEMFD and self.passes_fds):
                return True
            buffers.append(raw)
            return False

        is_plain = envelope.kind == MESSAGE and not envelope.fds
        try:
            stream = pickle.dumps(
                envelope.body if is_plain else envelope.parts, protocol=_PROTOCOL, buffer_callback=stays
            )
        except Exception as error:
            raise not_encodable(envelope.body, self.name, error) from error
        payload = stream if is_plain else _MARK + stream
        if not buffers:
            return payload, []
        sizes = [buffer.nbytes for buffer in buffers]
        if sum(map(_aligned, sizes)) > self._most:
            raise UsageError(f"buffers of {sum(sizes)} bytes are more than the {self._most} that one message may bring")
        head = _COUNT.pack(_BESIDE, len(sizes)) + struct.pack(f">{len(sizes)}Q", *sizes)
        return head + payload, [_filled(buffers)]

    def decode_into(self, payloads: Iterable[memoryview], fds: list[int], found: list[Any]) -> None:
        """See Codec."""
        for payload in payloads:
            buffers: list[memoryview] = []
            rest = payload
            if payload[0] == _BESIDE:
                buffers, rest = self._beside_of(payload, fds)
            if rest[0] == MARK:
                found.append(opened(pickle.loads(rest[1:], buffers=buffers), fds))
            else:
                found.append(pickle.loads(rest, buffers=buffers))

    def _beside_of(self, payload: memoryview, fds: list[int]) -> tuple[list[memoryview], memoryview]:
        _, count = _COUNT.unpack_from(payload)
        end = _COUNT.size + 8 * count
        if end > len(payload):
            raise FrameError(f"a message announces {count} buffers and ends before their sizes")
        sizes = struct.unpack_from(f">{count}Q", payload, _COUNT.size)
        total = sum(map(_aligned, sizes))
        if total > self._most:
            raise FrameError(f"a message brings {total} bytes of buffers, more than the limit of {self._most}")
        (fd,) = claimed(1, fds)
        try:
            # Without the seal the sender could cut the memory under our feet, which ends a process with SIGBUS.
            if not fcntl.fcntl(fd, _F_SEALS) & _SEAL_SHRINK or os.fstat(fd).st_size < total:
                raise FrameError("the buffers of a message are not all there, or could still be cut")
            whole = memoryview(mmap.mmap(fd, total))
        finally:
            os.close(fd)
        buffers, start = [], 0
        for size in sizes:
            buffers.append(whole[start : start + size])
            start += _aligned(size)
        return buffers, payload[end:]


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _filled(buffers: list[memoryview]) -> int:
    """A sealed memfd with the buffers in it."""
    fd = os.memfd_create("rookery-message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, sum(_aligned(buffer.nbytes) for buffer in buffers))
        start = 0
        for buffer in buffers:
            written = 0
            while written < buffer.nbytes:  # one call writes 2 GiB at most
                written += os.pwrite(fd, buffer[written:], start + written)
            start += _aligned(buffer.nbytes)
        fcntl.fcntl(fd, _F_SEAL, _SEAL_SHRINK | _SEAL_GROW | _SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd
