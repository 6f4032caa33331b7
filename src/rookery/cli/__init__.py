"""The command `rook`."""
