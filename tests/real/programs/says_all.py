"""Says 20 MB as fast as it can and is gone at once; before that it looks whether the copy before was written whole.

Its log (the argument) rotates away with the first word of the next copy.
"""

import os
import sys

BLOCKS = [b"%099d\n" % number * 10_000 for number in range(20)]

with open(sys.argv[1], "rb") as log:
    before = log.read()
if before and before != b"".join(BLOCKS):
    os.write(2, b"%d bytes of 20000000\n" % len(before))
for block in BLOCKS:
    view = memoryview(block)
    while view:
        view = view[os.write(1, view) :]
os._exit(0)
