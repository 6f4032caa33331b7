#!/bin/sh
# Says so on both streams, by re-opening them as shell scripts do, and waits.
echo "from a shell"
echo "an error" > /dev/stderr
exec sleep 1000
