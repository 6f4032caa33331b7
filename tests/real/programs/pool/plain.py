"""Knows of no protocol of pools: a message in, a message out."""

import os
import time

from rookery.worker import connect

parent = connect()
for message in parent:
    if message == "die":
        os._exit(7)
    if message == "spin":
        time.sleep(600)
    parent.send({"got": message, "pid": os.getpid()})
