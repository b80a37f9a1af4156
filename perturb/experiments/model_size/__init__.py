"""Model size: error as a power of the number of parameters, and models of matched size."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Model size", figure="4")
