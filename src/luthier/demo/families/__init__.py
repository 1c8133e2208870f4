"""The practice tasks, one module for every few clusters that share their material."""
