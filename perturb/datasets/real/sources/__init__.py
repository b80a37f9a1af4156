"""The layouts that data sets of real images come in, a module each or a few that are alike."""
