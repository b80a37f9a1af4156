"""Files of datasets: in folders and archives, found, classified by name, read in place."""
