"""Examples for the page: a gallery of perturbed images, and images on which models differ."""
