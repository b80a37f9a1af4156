"""The study of one's own models: the configuration that a command line means, and its run."""
