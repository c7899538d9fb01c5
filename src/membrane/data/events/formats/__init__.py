"""Decoders of event files, one format a module."""
