"""The library: perturbations and measures on any `nn.Module`, for code without a configuration.

Its functions check and convert what a caller has, and call the code that the workflow runs. Each
is a name of `perturb`.
"""
