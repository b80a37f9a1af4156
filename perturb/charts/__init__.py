"""Charts: pure functions from tables to Altair charts, in the form of the paper's figures.

Nothing is imported here: `perturb.charts.catalogue` must stay light for the Snakefile.
"""
