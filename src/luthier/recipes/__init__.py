"""Scripts that wire the stages together, each with its .toml: read one top to bottom to see what happens."""
