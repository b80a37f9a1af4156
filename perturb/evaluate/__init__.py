"""What a model predicts on the images of a cell, and the shard that it leaves."""
