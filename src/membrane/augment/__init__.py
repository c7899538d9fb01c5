"""Augmentation of a batch: parameters are drawn once for each sample and shared by all its frames."""
