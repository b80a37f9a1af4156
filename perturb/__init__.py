"""Perturb: how robust is an image classifier, to which change, and how sure are we?"""

__version__ = "0.1.0"
