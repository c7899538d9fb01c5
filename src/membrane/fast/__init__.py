"""Faster ways to compute the same functions: fused neurons, memory layout, compilation."""
