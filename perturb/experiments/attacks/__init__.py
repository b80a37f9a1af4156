"""Adversarial attacks: FGSM, PGD and an ensemble of stronger ones."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Adversarial attacks", figure="3")
