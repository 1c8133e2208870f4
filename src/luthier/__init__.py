"""Luthier builds, tunes and keeps in tune language models that follow instructions."""

__version__ = "0.1.0"
