"""Process-level utilities: seeds, distributed ranks, interrupts and provenance."""
