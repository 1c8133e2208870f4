"""Examples to better weights: supervised, preference and reinforcement tuning, and pre-training, on one engine."""
