"""The commands extract, train, sweep and report."""
