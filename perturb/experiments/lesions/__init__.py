"""Lesions: blocks, MLPs, attention layers or heads removed."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Removed layers", figure="8")
