"""Data sets: generated image families, and the store that every data set is decoded into."""
