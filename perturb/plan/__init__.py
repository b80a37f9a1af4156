"""What a study consists of: its cells, its jobs, and the paths of everything that they make."""
