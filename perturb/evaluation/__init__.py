"""Predictions of a model on the images of a cell, and the shard that holds them."""
