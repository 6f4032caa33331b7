"""Puts this folder on the path: ``import capabilities`` in any test."""
