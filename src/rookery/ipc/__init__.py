"""Processes that talk: messages, shared memory, files."""
