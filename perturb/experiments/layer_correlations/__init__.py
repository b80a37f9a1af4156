"""Layer correlations: similarity of the outputs of the blocks of a network."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Layer correlations", figure="7")
