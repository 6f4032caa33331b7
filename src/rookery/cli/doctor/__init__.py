"""``rook doctor``: facts (gathered thinly), rules (pure), findings."""
