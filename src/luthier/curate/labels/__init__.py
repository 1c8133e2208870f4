"""Answers that are probably wrong."""
