"""Where workers come from: a fork-server, and the parent's side of it."""
