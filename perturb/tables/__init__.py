"""Tables: queries over shards, and the relations that those of several experiments read.

Nothing is imported here: `perturb.tables.queries` must stay light for the Snakefile.
"""
