"""What the rows of the practice tasks are made from: one module for every cluster or two."""
