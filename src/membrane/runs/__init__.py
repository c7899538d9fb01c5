"""One run's folder: where it is, what it holds, how far it is. Without torch."""
