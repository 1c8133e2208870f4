"""A model as judge: scores of one answer by a rubric, duels of two in both orders, and agreement with people."""
