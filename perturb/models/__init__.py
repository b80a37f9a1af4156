"""Classifiers: architectures, checkpoints and the training of the embedded models."""
