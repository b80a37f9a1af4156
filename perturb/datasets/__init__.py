"""Datasets: images decoded or generated once, shared by all models."""
