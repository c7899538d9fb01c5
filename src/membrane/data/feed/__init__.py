"""From samples to batches: splits, protocol, workers."""
