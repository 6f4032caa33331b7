"""Keeping one process (Unit) or many (Supervisor) alive by the rules of `lifecycle`."""
