"""A similarity graph of a whole dataset: its factors, and each row's nearest neighbors."""
