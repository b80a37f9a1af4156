"""The tables' entries, a module for each of the report's subjects. No heavy imports."""
