"""The training driver: budgets, batches, trainers, checkpoints and reference models."""
