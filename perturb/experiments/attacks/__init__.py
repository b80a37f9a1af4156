"""Adversarial attacks: FGSM, PGD and an ensemble of stronger ones."""
