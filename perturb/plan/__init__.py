"""The plan of a study: its cells, its jobs, and the paths of all results."""
