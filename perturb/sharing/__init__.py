"""Finished results as data: two models compared, and results folders of one grid laid together."""
