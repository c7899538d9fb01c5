"""One run's folder: where it is, what it holds, where it stands. Without torch."""
