"""The page that shows a person what is wrong with a dataset."""
