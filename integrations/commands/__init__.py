"""The commands extract, inspect, train, sweep and report."""
