"""Corruptions: those of ImageNet-C, at five severities."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Corruptions", figure="2")
