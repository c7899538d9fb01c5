"""Augmentation of a batch: parameters drawn once a sample, shared by all frames of that sample."""
