"""Side-by-side measurements; results are committed as JSON with machine, versions and command."""
