"""What a study costs before it is run: jobs, passes, hours, disk. Nothing here imports torch."""
