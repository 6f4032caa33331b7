"""Answers HTTP like web.py, with its index behind the name of the file; says "told" for each SIGTERM and stays."""

import os
import runpy
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"told\n"))
sys.argv[1] += "." + os.environ["NODE_APP_INSTANCE"]
runpy.run_path(os.path.join(os.path.dirname(__file__), "web.py"), run_name="__main__")
