"""Shared forms of Altair charts; each experiment draws its charts with them."""
