"""Shared helpers: validation, labels, array namespaces, threads, files, optional packages."""
