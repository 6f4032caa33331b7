"""``rook up``: apps in the foreground, one process, no keeper; also as process 1 of a container."""
