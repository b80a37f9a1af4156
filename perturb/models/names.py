"""Constants of training that the workflow needs, for code that must not import torch."""

# Bumped when trained weights change for the same configuration, so that models trained before are
# trained again.
PROTOCOL = 1
