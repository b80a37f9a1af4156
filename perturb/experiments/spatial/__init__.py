"""Rotation and translation: the worst case of a grid, and a random sample of it."""
