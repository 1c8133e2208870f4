"""A child process that sees nothing, reaches nobody and leaves nothing: where the code of answers is run."""
