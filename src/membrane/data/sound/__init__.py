"""Recordings of sound as features over time."""
