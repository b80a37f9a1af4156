"""Token removal: patch tokens that leave a ViT early."""
