"""Pictures, tables and pages from a run's files. Without torch."""
