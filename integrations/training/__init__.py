"""The training driver: budgets, batches, trainer, checkpoints and reference models."""
