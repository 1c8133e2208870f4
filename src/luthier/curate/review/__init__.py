"""What people decide on flagged rows."""
