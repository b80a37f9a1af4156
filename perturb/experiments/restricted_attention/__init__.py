"""Restricted attention: patches attend within a distance, or not at all in some blocks."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Restricted attention", figure="9")
