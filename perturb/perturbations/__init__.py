"""Perturbations: named changes, with ordered severities, of the images or of the model."""
