"""Datasets in many Parquet files, read block by block and never loaded as a whole."""
