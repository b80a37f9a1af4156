"""Forms that charts share, as Altair charts; each experiment draws its own with them."""
