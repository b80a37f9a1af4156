"""The report page. Nothing is imported here: see `perturb.page.write`."""
