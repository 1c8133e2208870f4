"""The practice world: a small closed world whose text, tasks and sample files are made from a seed."""
