"""Robustness benchmarks: clean images, renditions, natural adversarial images."""
