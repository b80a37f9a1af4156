"""Token removal: patch tokens that leave a ViT early."""

from perturb.experiments.declaration import Experiment

EXPERIMENT = Experiment(title="Token removal")
