"""Encoders: from static data to spikes over time."""
