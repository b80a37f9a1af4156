"""Runs of the workflow: start, progress, resumption after a crash, and status."""
