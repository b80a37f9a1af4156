"""Shape bias: whether models follow shape or texture where the two conflict."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Shape bias", figure="6")
