"""What Hydra loads of membrane by itself: Hydra looks for plugins nowhere else."""
