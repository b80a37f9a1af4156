"""Runs of the workflow: started, watched, gone on with after a crash, and told about afterwards."""
