"""Perturb: a benchmark of the robustness of image classifiers to perturbations."""

__version__ = "0.1.0"
