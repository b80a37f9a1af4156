"""The version, which the build of the package reads from this file."""

__version__ = "0.1.0"
