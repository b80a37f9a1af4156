"""Transfer of adversarial images from one model to another."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Transfer of adversarial images")
