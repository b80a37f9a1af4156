"""Published numbers: those of the paper, and of timm, beside ours."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Comparison with published numbers")
