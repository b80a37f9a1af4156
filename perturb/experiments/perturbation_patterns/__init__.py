"""Perturbation patterns: what adversarial perturbations look like."""
