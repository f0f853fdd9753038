"""What the similarity graph says about a dataset's labels."""
