"""Decisions and counts of a pool: pure, no threads, no clock of their own."""
