"""Run records, results, and the files that a run writes."""
