"""Which base model to tune: candidates measured on your examples and your machine, then ranked."""
