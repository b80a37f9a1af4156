"""Datasets of real images: the layouts they come in, and their decoding."""
