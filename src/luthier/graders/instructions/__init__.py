"""Instructions whose following a program can check: the 25 kinds of IFEval (Zhou et al. 2023, arXiv:2311.07911)."""
