"""What the similarity graph shows about a dataset: wrong labels, outliers, near-duplicates."""
