"""PyTorch samplers, filter-ratio schedules and everything that runs an epoch."""
