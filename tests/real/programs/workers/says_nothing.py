"""Never opens its channel."""

import sys
import threading

print("I am thinking", file=sys.stderr, flush=True)
threading.Event().wait()
