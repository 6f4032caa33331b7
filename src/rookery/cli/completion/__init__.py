"""Scripts that let a shell complete ``rook``: made from its parsers; names are asked for when they are needed."""
