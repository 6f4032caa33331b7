"""Workers that are scripts, in Python or for Node."""
