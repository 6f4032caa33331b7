"""Values and errors as bytes, and back; the same on both sides of a pool."""

from __future__ import annotations

from rookery.pool.values.pickling_errors import RemoteTraceback, decode_error, encode_error
from rookery.pool.values.pickling_values import BESIDE, decode, encode, encode_whole, settle

__all__ = ["BESIDE", "RemoteTraceback", "decode", "decode_error", "encode", "encode_error", "encode_whole", "settle"]
