"""The same functions, sooner: fused neurons, memory layout, compilation."""
