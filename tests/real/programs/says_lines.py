"""Says on stdout each line that comes on stdin, from when the file in argv[1] exists."""

import os
import sys
import time

while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
for line in sys.stdin:
    print(line, end="", flush=True)
print("the end", flush=True)
