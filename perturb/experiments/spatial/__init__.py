"""Rotation and translation: the worst case of a grid, and a random sample of it."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Rotation and translation", figure="3")
