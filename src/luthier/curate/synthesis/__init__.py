"""Rows that a writer or a template makes."""
