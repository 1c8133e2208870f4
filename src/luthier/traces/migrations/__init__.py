"""How the store's tables came to be, one step a file. A step that was released never changes."""
