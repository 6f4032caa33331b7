"""``python -m rookery`` is ``rook``."""

from __future__ import annotations

import sys

from rookery.cli.main import main

sys.exit(main())
