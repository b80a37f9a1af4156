"""Robustness benchmarks: clean images, renditions, natural adversarial images."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Benchmarks", figure="2")
