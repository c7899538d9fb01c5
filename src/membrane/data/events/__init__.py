"""Events and frames."""
