"""The process: seeds, distributed ranks, interrupts and provenance."""
