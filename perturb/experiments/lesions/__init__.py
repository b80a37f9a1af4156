"""Lesions: blocks, MLPs, attention layers or heads removed."""
