"""Tests against implementations by others: collected only where those are installed."""

import importlib.util

import torch

# `make test-peers` builds the environment that has them; the main suite runs without.
if importlib.util.find_spec("imagenet_c") is None:
    collect_ignore_glob = ["test_*.py"]

torch.set_num_threads(1)
