"""Raw rows of any shape, to records."""
