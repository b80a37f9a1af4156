"""Datasets of real images: layouts and decoding."""
