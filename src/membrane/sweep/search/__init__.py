"""Searches with Optuna: the space, the study, its trials, what they came to."""
