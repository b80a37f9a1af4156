"""Files of datasets: in folders and archives, found, told apart by name, read in place."""
