"""Transfer of adversarial images from one model to another."""
