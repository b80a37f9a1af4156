"""Layer correlations: similarity of the outputs of the blocks of a network."""
