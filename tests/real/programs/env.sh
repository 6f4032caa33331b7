#!/bin/sh
# Says what it was given: NODE_APP_INSTANCE, the names of its variables, umask and limits.
echo "instance $NODE_APP_INSTANCE"
echo "names $(env | cut -d= -f1 | sort | tr '\n' ' ')"
echo "umask $(umask)"
echo "files $(ulimit -n)"
exec sleep 1000
