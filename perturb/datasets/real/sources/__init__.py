"""Layouts of datasets of real images; similar layouts share a module."""
