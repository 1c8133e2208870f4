"""Words by which texts name groups of people, and which word of one group stands for which of another."""
