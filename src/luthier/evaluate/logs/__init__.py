"""Per-item logs of other evaluation programs, read as evaluations."""
