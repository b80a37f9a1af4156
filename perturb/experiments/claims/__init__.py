"""Claims of the paper, each as a statistic with an interval and a verdict."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Claims of the paper")
