"""The page that shows problems in a dataset."""
