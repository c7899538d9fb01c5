"""One run, from its objects to its result."""
