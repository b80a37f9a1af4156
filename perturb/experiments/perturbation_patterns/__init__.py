"""Perturbation patterns: what adversarial perturbations look like."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Perturbation patterns", figure="5")
