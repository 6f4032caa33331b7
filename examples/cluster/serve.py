"""Serve the shop on all cores until SIGTERM; SIGHUP is a rolling reload."""

import asyncio
import logging
import sys

from rookery import Cluster

logging.basicConfig(level=logging.INFO, format="%(message)s")
bind = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"
asyncio.run(Cluster("shop:app", workers="max", bind=bind).serve())
