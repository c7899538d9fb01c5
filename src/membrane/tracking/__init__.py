"""Follow a run while it trains: metrics.csv, trackers, progress, profile, log."""
