"""The data card: one page that a person would send to a colleague."""
