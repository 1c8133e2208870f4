"""Everything that touches tokens or weights: load, render, generate, log-probabilities, adapters, build."""
