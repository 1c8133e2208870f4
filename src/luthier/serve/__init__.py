"""Weights to the OpenAI API and its pages, and a trace of every answer."""
