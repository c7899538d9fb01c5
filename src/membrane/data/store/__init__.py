"""Downloads and caches."""
