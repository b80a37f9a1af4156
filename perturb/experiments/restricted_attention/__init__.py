"""Restricted attention: patches attend within a distance, or not at all in some blocks."""
