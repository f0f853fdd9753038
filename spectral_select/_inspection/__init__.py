"""Wrong labels, outliers and near-duplicates, found from the similarity graph of a dataset."""
