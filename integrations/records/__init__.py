"""Records of runs and results, and the files that a run leaves."""
