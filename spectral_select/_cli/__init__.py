"""The command line: its entry point and the commands that do not need torch."""
