"""Corruptions: those of ImageNet-C, at five severities."""
