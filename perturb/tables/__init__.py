"""Tables: queries over shards, each in the SQL file of its name.

Nothing is imported here: `perturb.tables.catalogue` must stay light for the Snakefile.
"""
