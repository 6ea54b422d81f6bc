"""Snapshots and labelled folders to trained networks: recipes, augmentation, samplers, losses, the loop, reports."""
