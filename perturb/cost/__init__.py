"""The cost of a study before a run: jobs, passes, hours, disk. Nothing here imports torch."""
