"""Files of any format, to raw rows."""
