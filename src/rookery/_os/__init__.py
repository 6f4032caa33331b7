"""Kernel facts behind one seam; the only place that asks which system this is.

``from rookery._os import kernel`` gives the module of this system; linux.py says what each function promises.
"""

from __future__ import annotations

import sys

if sys.platform == "darwin":
    from rookery._os import darwin as kernel
else:
    from rookery._os import linux as kernel

__all__ = ["kernel"]
