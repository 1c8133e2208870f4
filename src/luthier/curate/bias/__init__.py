"""Bias in the data: who is named, near which words, and whether they are served alike."""
