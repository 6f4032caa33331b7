"""Says something on stderr and ends with the code in argv[1]."""

import sys

print("before the end", file=sys.stderr)
print("cannot open the database", file=sys.stderr)
sys.exit(int(sys.argv[1]))
