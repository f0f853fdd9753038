"""PyTorch samplers, filter-ratio schedules, and the selection of an epoch's batches."""
